"""What a client may send, announce and leave unread, on real sockets."""

from __future__ import annotations

import datetime
import errno
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from flask import Flask, request
from waitress.buffers import TempfileBasedBuffer

import tamperscope.detector
from fakes import FakeDetector, fake_app
from tamperscope.server import connections, loop, serve
from tamperscope.server.app import controls
from tamperscope.server.middleware.keys import create_key
from tamperscope.server.openapi import operation_of
from tamperscope.settings import Settings

SMALL = b"GET /small HTTP/1.1\r\n\r\n"
LARGE = b"GET /large HTTP/1.1\r\n\r\n"


class Application:
    """Counts its calls; `/large` answers with 4 MB, `/length` with the size of the body."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.wsgi = Flask("attacked")
        for path, view in {
            "/large": lambda: bytes(4 * 2**20),
            "/small": lambda: "small",
            "/length": lambda: str(len(request.get_data())),
            "/refusal": lambda: str(request.environ[connections.REFUSAL]),
        }.items():
            self.wsgi.add_url_rule(path, path, view_func=view, methods=["GET", "POST"])
        self.wsgi.before_request(lambda: self.called.append(request.path))


@pytest.fixture
def application() -> Application:
    return Application()


@contextmanager
def serving(
    application: Application, limit: int = 2**40, spool: int = 2**30
) -> Iterator[Callable[[], socket.socket]]:
    listener = socket.create_server(("127.0.0.1", 0))
    running = loop.Loop(application.wsgi, Settings(spool=spool), listener, lambda path, key: limit)
    with ExitStack() as opened:

        def connect() -> socket.socket:
            connection = opened.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(60)
            connection.connect(listener.getsockname())
            return connection

        yield connect
    running.stop()


def answers(connection: socket.socket, count: int) -> list[tuple[int, bytes]]:
    """Read that many answers: status and body."""
    file = connection.makefile("rb")
    read = []
    for _ in range(count):
        status = int(file.readline().split()[1])
        length = 0
        while (line := file.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length"):
                length = int(line.split(b":")[1])
        read.append((status, file.read(length)))
    return read


def test_pipelined_requests_are_answered_in_order(application):
    with serving(application) as connect:
        connection = connect()
        connection.sendall(3 * SMALL + LARGE + SMALL)

        read = answers(connection, 5)

    assert [len(body) for _, body in read] == [5, 5, 5, 4 * 2**20, 5]


def test_the_next_request_is_not_even_processed_until_the_answer_was_read(application):
    with serving(application) as connect:
        silent = connect()
        silent.sendall(50 * LARGE)
        assert silent.recv(12) == b"HTTP/1.1 200"
        # The server processes these later than it would have processed the second request above.
        for _ in range(5):
            other = connect()
            other.sendall(SMALL)
            answers(other, 1)

        assert application.called.count("/large") == 1


def test_the_connections_that_leave_most_unread_are_closed_when_the_budget_is_spent():
    closed: list[int] = []

    def channel(unread: int, uploaded: int = 0) -> SimpleNamespace:
        return SimpleNamespace(
            unread=unread, held=unread + uploaded, handle_close=lambda: closed.append(unread)
        )

    spool = connections.Spool(budget=100)

    spool.count([channel(20), channel(90), channel(0, uploaded=40), channel(30)])
    assert closed == [90]
    spool.count([channel(0, uploaded=101), channel(1)])
    assert closed == [90, 1]
    assert not spool.received(1)


def test_a_body_that_is_too_long_is_refused_before_it_is_sent(application):
    with serving(application, limit=1000) as connect:
        connection = connect()
        connection.sendall(b"POST /length HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n")

        # Nothing of the body has been sent.
        assert answers(connection, 1)[0][1] == b"0"
        assert connection.recv(1) == b""


def test_a_client_that_sends_its_body_regardless_still_reads_the_answer(application):
    with serving(application, limit=1000) as connect:
        connection = connect()
        connection.sendall(b"POST /length HTTP/1.1\r\nContent-Length: 20000000\r\n\r\n" + bytes(20_000_000))

        assert answers(connection, 1)[0][1] == b"0"


def test_every_form_is_received_up_to_the_largest_image():
    settings = Settings()
    app = fake_app(settings)
    forms = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if (described := operation_of(app, rule.endpoint)) and described.form
    }

    assert {"/segment", "/v1/analyses", "/v1/preview", "/v1/compare", "/v1/jobs"} <= forms
    for path in forms:
        assert controls(app).body_limit(path, None) > settings.max_bytes, path


def test_a_chunked_body_is_received_up_to_the_limit(application):
    chunk = b"3e8\r\n" + bytes(1000) + b"\r\n"
    head = b"POST /length HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(application, limit=5000) as connect:
        short, endless = connect(), connect()
        short.sendall(head + 5 * chunk + b"0\r\n\r\n")
        endless.sendall(head + 6 * chunk)

        assert answers(short, 1) == [(200, b"5000")]
        assert answers(endless, 1) == [(200, b"0")]


def test_an_endless_line_in_a_chunked_body_is_a_bad_request(application):
    with serving(application) as connect:
        connection = connect()
        connection.sendall(b"POST /length HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + 100_000 * b"1")

        assert connection.recv(12)[9:] == b"400"


def test_uploads_beyond_the_budget_are_refused_in_words(application):
    with serving(application, spool=2**20) as connect:
        connection = connect()
        connection.sendall(b"POST /refusal HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n" + bytes(3_000_000))

        assert b"as many uploads as it can" in answers(connection, 1)[0][1]


def test_a_full_temporary_folder_is_answered_in_words(application, monkeypatch, caplog):
    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(TempfileBasedBuffer, "append", full)
    with serving(application) as connect:
        connection = connect()
        connection.sendall(b"POST /refusal HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n" + bytes(3_000_000))

        assert b"no room for this upload" in answers(connection, 1)[0][1]
        other = connect()
        other.sendall(SMALL)
        assert answers(other, 1) == [(200, b"small")]
    assert "temporary folder is full" in caplog.text


@pytest.mark.parametrize(
    "head",
    [
        b"POST /length HTTP/1.1\r\nContent-Length: " + 5000 * b"9",
        b"POST /length HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        b"GET /small HTTP/1.1\r\nHost: a.example\r\nHost: b.example",
        b"GET /small HTTP/9.9",
    ],
    ids=["endless number", "two lengths", "two hosts", "version"],
)
def test_an_ambiguous_header_is_a_bad_request(application, head):
    with serving(application) as connect:
        connection = connect()
        connection.sendall(head + b"\r\n\r\n")

        assert connection.recv(12)[9:] == b"400"
    assert application.called == []


def test_a_stop_answers_every_waiting_client_even_after_a_bad_first_line(monkeypatch, caplog):
    monkeypatch.setattr(loop, "_FAREWELL_SECONDS", 0.1)
    entered, release = threading.Semaphore(0), threading.Event()
    wsgi = Flask("hanging")

    @wsgi.get("/")
    def hang() -> str:
        entered.release()
        release.wait(60)
        return ""

    listener = socket.create_server(("127.0.0.1", 0))
    settings = Settings(workers=1, queue=0, drain=1)
    running = loop.Loop(wsgi, settings, listener, lambda path, key: 0)
    with ExitStack() as opened:
        opened.callback(release.set)
        # The first is given up first; it must not keep the others from their answers.
        bad, *others = (
            opened.enter_context(socket.create_connection(listener.getsockname(), timeout=20))
            for _ in range(1 + settings.workers + settings.queue + loop._SPARE_THREADS)
        )
        for other in others:
            other.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        for _ in others:
            assert entered.acquire(timeout=60)
        bad.sendall(b"BAD REQUEST LINE WITH MANY\r\n\r\n")
        running.stop()

        read = [connection.makefile("rb").read().decode() for connection in (bad, *others)]

    for answer in read:
        assert re.match(r"HTTP/1\.1 503 .*\r\nX-Request-Id: \w+\r\n", answer, re.DOTALL)
    assert caplog.text.count("not answered within") == len(read)


def test_a_new_connection_replaces_the_one_that_is_idle_longest(application, monkeypatch):
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 5)
    with serving(application) as connect:
        half_open = []
        for _ in range(5):
            half_open.append(connect())
            half_open[-1].sendall(b"GET / HTTP/1.1\r\nHo")
        for _ in range(3):
            other = connect()
            other.sendall(SMALL)
            assert answers(other, 1) == [(200, b"small")]

        assert half_open[0].recv(1) == b""


def test_half_a_header_is_not_waited_for_long(application, monkeypatch):
    monkeypatch.setattr(loop, "_HEAD_SECONDS", 0.0)
    with serving(application) as connect:
        connection = connect()
        connection.sendall(b"GET / HTTP/1.1\r\nHo")

        assert connection.recv(1) == b""


class TestWithKeys:
    @pytest.fixture
    def keys(self, tmp_path: Path) -> Path:
        return tmp_path / "keys.json"

    @pytest.fixture
    def key(self, keys: Path) -> str:
        return create_key(keys, "newsroom", admin=False, today=datetime.date(2026, 1, 31))

    @pytest.fixture
    def running(self, monkeypatch, keys, key):
        fake = SimpleNamespace(load=lambda *args, **kwargs: FakeDetector())
        monkeypatch.setattr(tamperscope.detector, "Detector", fake)
        running = serve.start(
            Settings(port=0, keys=keys, cors_origins=("https://news.example",)), lambda _: None
        )
        yield running
        running.stop()

    @pytest.mark.parametrize(
        ("authorization", "status"), [("", 401), ("Authorization: Bearer tsk_wrong\r\n", 401)]
    )
    @pytest.mark.parametrize("path", ["/v1/jobs", "/classify", "/nowhere"])
    @pytest.mark.parametrize("length", ["Content-Length: 200000000", "Transfer-Encoding: chunked"])
    def test_a_body_without_a_valid_key_is_refused_before_it_is_sent(
        self, running, authorization, status, path, length
    ):
        url = urlsplit(running.url)
        with socket.create_connection((url.hostname, url.port), timeout=60) as connection:
            connection.sendall(
                f"POST {path} HTTP/1.1\r\nHost: {url.netloc}\r\nOrigin: https://news.example\r\n"
                f"{authorization}Content-Type: multipart/form-data; boundary=b\r\n{length}\r\n\r\n".encode()
            )
            received = b"".join(iter(lambda: connection.recv(2**16), b"")).decode()

        head, body = received.split("\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {status if path != '/nowhere' else 404}")
        assert json.loads(body)["detail"]
        # A page of the operator's own reads the reason too.
        if path != "/nowhere":
            assert re.search(r"Access-Control-Allow-Origin: https://news\.example", head, re.IGNORECASE)

    def test_a_body_that_is_too_long_is_answered_413(self, running, key):
        url = urlsplit(running.url)
        with socket.create_connection((url.hostname, url.port), timeout=60) as connection:
            connection.sendall(
                f"POST /classify HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer {key}\r\n"
                "Expect: 100-continue\r\nContent-Type: multipart/form-data; boundary=b\r\n"
                "Content-Length: 200000000\r\n\r\n".encode()
            )

            assert connection.recv(12) == b"HTTP/1.1 413"
