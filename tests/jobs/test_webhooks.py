"""Webhooks: they arrive, can be verified, and are never sent to forbidden addresses."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tamperscope.background import begin
from tamperscope.errors import WebhookError
from tamperscope.jobs import webhooks
from tamperscope.jobs.model import Job, Submission, SubmittedImage, WebhookState, WebhookTarget
from tamperscope.jobs.outbox import Outbox
from tamperscope.jobs.queue import JobQueue
from tamperscope.jobs.webhooks import Postman, check_target

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
NOW = 1_790_000_000
PUBLIC = "93.184.216.34"


class Receiver(HTTPServer):
    """A server that records what it receives and answers with `statuses` in turn, then with 200."""

    def __init__(self, *statuses: int, context: ssl.SSLContext | None = None) -> None:
        self.statuses = list(statuses)
        self.called = threading.Event()
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that has disconnected."""


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        self.server.called.set()
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.shutdown()
    receiver.server_close()


def end_a_job(jobs: JobQueue, url: str, owner: str = "") -> Job:
    submission = Submission(owner=owner, webhook=WebhookTarget(url, SECRET))
    job, _ = jobs.submit(submission, [SubmittedImage("a.jpg", b"1")])
    claim = jobs.claim()
    assert claim
    jobs.finish(claim, "a" * 32)
    return job


def postman(outbox: Outbox, *, private: bool = True) -> Postman:
    return Postman(outbox, private=private, now=lambda: NOW)


def webhook(jobs: JobQueue, job: Job):
    found = jobs.get(job.id, owner="")
    assert found
    return found.webhook


def address(receiver: Receiver, path: str = "/hook?a=b") -> str:
    return f"http://127.0.0.1:{receiver.server_port}{path}"


def test_a_receiver_can_verify_the_message(jobs, receiver, outbox):
    job = end_a_job(jobs, address(receiver))

    postman(outbox).deliver_all()

    [(path, headers, body)] = receiver.received
    assert path == "/hook?a=b"
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (f"job_{job.id}", str(NOW))
    signed = b"job_%s.%d.%s" % (job.id.encode(), NOW, body)
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["content-type"] == "application/json"
    assert json.loads(body) == {
        "type": "job.finished",
        "timestamp": "2026-01-31T12:00:00.250000+00:00",
        "data": {
            "id": job.id,
            "state": "completed",
            "images": {"total": 1, "done": 1, "failed": 0},
            "links": {"self": f"/v1/jobs/{job.id}", "results": f"/v1/jobs/{job.id}/results"},
        },
    }
    assert webhook(jobs, job).state is WebhookState.DELIVERED


def test_the_signature_follows_the_standard():
    # The example in the specification of Standard Webhooks.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'

    signature = webhooks.sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_it_is_retried_under_the_same_id_until_it_arrives(jobs, clock, receiver, outbox):
    receiver.statuses[:] = [500, 404]
    job = end_a_job(jobs, address(receiver))

    for status in (500, 404):
        postman(outbox).deliver_all()
        assert webhook(jobs, job).error == f"The address answered with status {status}."
        clock.time += timedelta(hours=1)
    postman(outbox).deliver_all()

    assert len({headers["webhook-id"] for _, headers, _ in receiver.received}) == 1
    assert (webhook(jobs, job).state, webhook(jobs, job).attempts) == (WebhookState.DELIVERED, 3)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(jobs, receiver, status, outbox):
    receiver.statuses[:] = [status]
    job = end_a_job(jobs, address(receiver))

    postman(outbox).deliver_all()

    assert [path for path, *_ in receiver.received] == ["/hook?a=b"]
    assert webhook(jobs, job).error == f"The address answered with status {status}."


def test_one_address_that_fails_does_not_delay_the_others(jobs, receiver, outbox):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    lost = end_a_job(jobs, f"http://127.0.0.1:{port}/")
    end_a_job(jobs, address(receiver))

    postman(outbox).deliver_all()

    assert len(receiver.received) == 1
    assert webhook(jobs, lost).error == "The address cannot be reached."


def test_a_server_that_answers_byte_by_byte_is_cut_off(jobs, monkeypatch, outbox):
    monkeypatch.setattr(webhooks, "_WHOLE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        job = end_a_job(jobs, f"http://127.0.0.1:{server.getsockname()[1]}/")

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                try:
                    while True:
                        connection.sendall(b"H")
                        connection.recv(10_000)
                except OSError:
                    return

        threading.Thread(target=drip, daemon=True).start()
        postman(outbox).deliver_all()

    assert webhook(jobs, job).error == "The address cannot be reached."


class TestSeveralAtATime:
    @pytest.fixture
    def silent(self):
        """The address of a receiver that never answers."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"

    def test_a_receiver_that_never_answers_delays_only_messages_to_itself(
        self, jobs, receiver, outbox, silent
    ):
        lost = [end_a_job(jobs, silent) for _ in range(3)]
        job = end_a_job(jobs, address(receiver))

        delivering = begin(postman(outbox).deliver_all, "postman")
        assert receiver.called.wait(60)

        # The others are still on their way, one of them at a time.
        assert not delivering.done()
        assert sum(webhook(jobs, each).attempts for each in lost) == 1
        assert webhook(jobs, job).attempts == 1

    def test_an_owner_with_many_receivers_leaves_room_for_others(self, jobs, receiver, outbox, monkeypatch):
        monkeypatch.setattr(webhooks, "_AT_ONCE", 2)
        monkeypatch.setattr(webhooks, "_AT_ONCE_OF_OWNER", 1)
        with ExitStack() as opened:
            for _ in range(3):
                server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
                end_a_job(jobs, f"http://127.0.0.1:{server.getsockname()[1]}/", owner="greedy")
            end_a_job(jobs, address(receiver), owner="other")

            begin(postman(outbox).deliver_all, "postman")

            assert receiver.called.wait(60)

    def test_a_host_that_fails_rests(self, jobs, receiver, outbox):
        receiver.statuses[:] = [500]
        first, second = (end_a_job(jobs, address(receiver)) for _ in range(2))

        postman(outbox).deliver_all()

        assert len(receiver.received) == 1
        assert sorted(webhook(jobs, job).attempts for job in (first, second)) == [0, 1]

    def test_a_name_that_is_not_resolved_in_time_is_given_up(self, jobs, outbox, monkeypatch):
        monkeypatch.setattr(webhooks, "_STEP_SECONDS", 0.01)
        held = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: held.wait(60))
        job = end_a_job(jobs, "https://news.example/")

        postman(outbox, private=False).deliver_all()
        held.set()

        assert webhook(jobs, job).error == "The address cannot be reached."


class TestPrivateAddresses:
    def test_this_machine_is_not_called(self, jobs, receiver, outbox):
        job = end_a_job(jobs, f"http://localhost:{receiver.server_port}/")

        postman(outbox, private=False).deliver_all()

        assert receiver.received == []
        assert webhook(jobs, job).error == "The address cannot be reached."

    @pytest.mark.parametrize(
        "found",
        [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "168.63.129.16",
            "192.0.0.192",
            "fec0::1",
            "3fff::1",
            "64:ff9b:1::1",
            "2001:db8::5efe:10.0.0.1",
            "2606:2800::200:5efe:10.0.0.1",
        ],
    )
    def test_no_connection_is_made_to_a_private_address(self, jobs, monkeypatch, found, outbox):
        resolves_to(monkeypatch, [found])
        monkeypatch.setattr(socket, "create_connection", pytest.fail)
        job = end_a_job(jobs, "https://news.example/")

        postman(outbox, private=False).deliver_all()

        assert webhook(jobs, job).error == "The address cannot be reached."

    def test_one_private_address_among_public_ones_is_refused(self, jobs, monkeypatch, outbox):
        resolves_to(monkeypatch, [PUBLIC, "10.0.0.1"])
        monkeypatch.setattr(socket, "create_connection", pytest.fail)
        end_a_job(jobs, "https://news.example/")

        postman(outbox, private=False).deliver_all()

    @pytest.mark.parametrize("found", [PUBLIC, "2606:2800:220:1::1", "::ffff:93.184.216.34"])
    def test_the_address_that_was_checked_is_the_one_that_is_called(self, jobs, monkeypatch, found, outbox):
        """A name may resolve to another address the second time."""
        resolves_to(monkeypatch, [found], ["127.0.0.1"])
        called = []

        def connect(address, timeout):
            called.append(address)
            raise ConnectionRefusedError

        monkeypatch.setattr(socket, "create_connection", connect)
        end_a_job(jobs, "http://news.example:8080/")

        postman(outbox, private=False).deliver_all()

        assert called == [(found, 8080)]


def resolves_to(monkeypatch, *answers: list[str]) -> None:
    """Resolve every name to each of `answers` in turn."""
    remaining = list(answers)

    def resolve(host, port, **options):
        addresses = remaining.pop(0)
        return [(0, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


class TestTls:
    @pytest.fixture
    def certificate(self, tmp_path):
        """A self-signed certificate for localhost."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        file = tmp_path / "certificate.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
        return file

    @pytest.fixture
    def secure(self, certificate):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        receiver = Receiver(context=context)
        yield receiver
        receiver.shutdown()
        receiver.server_close()

    def test_a_trusted_certificate_with_the_right_name_is_accepted(
        self, jobs, secure, certificate, monkeypatch, outbox
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        job = end_a_job(jobs, f"https://localhost:{secure.server_port}/")

        postman(outbox).deliver_all()

        assert len(secure.received) == 1
        assert webhook(jobs, job).state is WebhookState.DELIVERED

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["another name", "not trusted"])
    def test_any_other_certificate_receives_no_message(
        self, jobs, secure, certificate, monkeypatch, host, outbox
    ):
        if host == "127.0.0.1":
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        job = end_a_job(jobs, f"https://{host}:{secure.server_port}/")

        postman(outbox).deliver_all()

        assert secure.received == []
        assert webhook(jobs, job).error == "The address cannot be reached."


class TestTargets:
    @pytest.mark.parametrize(
        "url",
        [
            "https://news.example/hook",
            "http://news.example:8080/?a=b",
            f"https://{PUBLIC}/",
            "https://[2606:2800:220:1::1]/",
        ],
    )
    def test_addresses_that_are_allowed(self, url):
        check_target(WebhookTarget(url, SECRET))

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "news.example",
            "ftp://news.example/",
            "file:///etc/passwd",
            "https://",
            "https://user:password@news.example/",
            "https://user@news.example/",
            "https://news.example/#part",
            "https://news.example:0/",
            "https://news.example:99999/",
            "https://news.example/a b",
            "https://news.example/\r\nHost: other",
            "https://näws.example/",
            "https://[::1/",
            "https://news.example/" + "a" * 2000,
        ],
    )
    def test_addresses_that_are_invalid(self, url):
        with pytest.raises(WebhookError, match="needs a URL such as"):
            check_target(WebhookTarget(url, SECRET), private=True)

    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "[::1]", "10.1.2.3", "169.254.169.254", "[::ffff:10.0.0.1]"]
    )
    def test_a_private_address_is_refused_at_once_unless_allowed(self, host):
        with pytest.raises(WebhookError, match="public addresses only"):
            check_target(WebhookTarget(f"http://{host}/", SECRET))
        check_target(WebhookTarget(f"http://{host}/", SECRET), private=True)

    @pytest.mark.parametrize(
        "secret", ["", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_" + "A" * 200, "whsec_ä"]
    )
    def test_an_invalid_secret(self, secret):
        with pytest.raises(WebhookError, match="24 to 64 random bytes"):
            check_target(WebhookTarget("https://news.example/", secret))
