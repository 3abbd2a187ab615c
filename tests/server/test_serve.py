"""The server as a process, with real sockets and signals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from flask import Flask

import reports
import tamperscope.detector
from fakes import FakeDetector
from tamperscope.cli import main
from tamperscope.client import Client
from tamperscope.errors import BundleError, SettingsError, StoreError
from tamperscope.jobs.model import Submission, SubmittedImage
from tamperscope.jobs.queue import JobQueue
from tamperscope.server import loop, serve
from tamperscope.settings import Settings
from tamperscope.store import AnalysisStore, Database, Subject

TESTS = Path(__file__).parents[1]

# Holds each analysis until it reads a line, so that the test decides when the running request ends.
HOLDING_SERVER = """
import sys, threading, types
import tamperscope.detector
from fakes import FakeDetector
from tamperscope.server import assembly, loop, serve
from tamperscope.settings import Settings

detector = FakeDetector(holding=True)
detectors = iter([detector, FakeDetector(version="2")])
tamperscope.detector.Detector = types.SimpleNamespace(load=lambda *args, **kwargs: next(detectors))

if sys.argv[2] == "deaf":
    # Like native code: it neither ends nor notices anything.
    def analyze(*args, **options):
        detector.entered.release()
        threading.Event().wait()
    detector.analyze = analyze
    assembly._FAREWELL_SECONDS = loop._FAREWELL_SECONDS = 0.1

def relay():
    detector.entered.acquire()
    print("analysing", flush=True)
    sys.stdin.readline()
    detector.release.set()

threading.Thread(target=relay, daemon=True).start()
serve.run(Settings(port=0, drain=int(sys.argv[1])))
"""


def form(data: bytes) -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    return head + data + b"\r\n--x--\r\n"


def post(url: str, data: bytes) -> tuple[int, dict[str, object]]:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    request = urllib.request.Request(url, form(data), headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.status, json.load(response)


@pytest.fixture
def fake_model(monkeypatch):
    monkeypatch.setattr(
        tamperscope.detector, "Detector", SimpleNamespace(load=lambda *args, **kwargs: FakeDetector())
    )


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def running(fake_model, said):
    running = serve.start(Settings(port=0, max_bytes=20_000), said.append)
    yield running
    running.stop()


@pytest.fixture
def holding_server(request):
    drain, kind = getattr(request, "param", (30, "attentive"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING_SERVER, str(drain), kind], **pipes, env=environment, text=True
    ) as server:
        yield server
        server.kill()


def release(server) -> None:
    server.stdin.write("continue\n")
    server.stdin.flush()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_running_request_finish(photo_png, holding_server, stop):
    url = holding_server.stdout.readline().split()[-1]
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(post, f"{url}/classify", photo_png)
        assert holding_server.stdout.readline() == "analysing\n"

        holding_server.send_signal(stop)
        assert "Stopping" in holding_server.stdout.readline()
        holding_server.send_signal(stop)
        release(holding_server)

        status, classified = answer.result(timeout=60)
    assert (status, classified["class_name"]) == (200, "copymove")
    assert holding_server.wait(timeout=60) == 0


@pytest.mark.parametrize("holding_server", [(1, "attentive"), (1, "deaf")], indirect=True)
def test_no_analysis_holds_up_the_end(photo_png, holding_server):
    address = urlsplit(holding_server.stdout.readline().split()[-1])
    connection = HTTPConnection(address.hostname, address.port, timeout=60)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    connection.request("POST", "/classify", form(photo_png), headers)
    assert holding_server.stdout.readline() == "analysing\n"

    holding_server.terminate()

    assert connection.getresponse().status == 503
    assert holding_server.wait(timeout=60) == 0


@pytest.mark.parametrize("holding_server", [(1, "attentive")], indirect=True)
@pytest.mark.parametrize("given", [{}, {"X-Request-Id": "mine"}])
def test_a_request_that_exceeds_the_drain_time_receives_503(photo_png, holding_server, given):
    address = urlsplit(holding_server.stdout.readline().split()[-1])
    connection = HTTPConnection(address.hostname, address.port, timeout=60)
    headers = {"Content-Type": "multipart/form-data; boundary=x", **given}
    connection.request("POST", "/classify", form(photo_png), headers)
    assert holding_server.stdout.readline() == "analysing\n"

    holding_server.terminate()

    answer = connection.getresponse()
    problem = json.load(answer)
    assert (answer.status, answer.headers["Content-Type"]) == (503, "application/problem+json")
    assert problem["type"] == "urn:tamperscope:problem:stopping"
    assert int(answer.headers["Retry-After"]) > 0
    request_id = answer.headers["X-Request-Id"]
    assert request_id == given.get("X-Request-Id", request_id)
    assert request_id in next(line for line in holding_server.stderr if "/classify 503" in line)
    release(holding_server)
    assert holding_server.wait(timeout=60) == 0


def test_a_hangup_reloads_the_bundle_without_dropping_the_running_request(photo_png, holding_server):
    url = holding_server.stdout.readline().split()[-1]
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(post, f"{url}/classify", photo_png)
        assert holding_server.stdout.readline() == "analysing\n"

        holding_server.send_signal(signal.SIGHUP)
        assert "reloaded: bundle fake 2" in next(line for line in holding_server.stderr if "reload" in line)
        release(holding_server)

        assert answer.result(timeout=60)[0] == 200
    with urllib.request.urlopen(f"{url}/ready", timeout=60) as ready:
        assert json.load(ready)["bundle"]["version"] == "2"
    assert post(f"{url}/classify", photo_png)[0] == 200


@pytest.mark.parametrize(("retention", "left"), [(30, ["young"]), (None, ["young", "old"])])
def test_expired_analyses_are_deleted_at_the_start(fake_model, tmp_path, retention, left):
    database = f"sqlite:///{tmp_path / 'analyses.db'}"
    Database(database).migrate()
    record = reports.report().record
    for name, days in (("old", 31), ("young", 29)):
        then = datetime.now(UTC) - timedelta(days=days)
        store = AnalysisStore(Database(database), now=lambda then=then: then)
        store.add(
            Subject("", name, "bundle", "tests"),
            replace(record, image=replace(record.image, sha256=name)),
            {},
        )

    serve.start(Settings(port=0, database=database, retention=retention), lambda _: None).stop()

    assert [
        summary.image.sha256 for summary in AnalysisStore(Database(database)).list(owner="", limit=10)
    ] == left


@pytest.mark.parametrize(("retention", "left"), [(30, 0), (None, 1)])
def test_expired_jobs_are_deleted_at_the_start(fake_model, tmp_path, retention, left):
    database = f"sqlite:///{tmp_path / 'analyses.db'}"
    Database(database).migrate()
    then = datetime.now(UTC) - timedelta(days=31)
    jobs = JobQueue(Database(database), now=lambda: then)
    job, _ = jobs.submit(Submission(owner=""), [SubmittedImage("a.jpg", b"1")])
    jobs.cancel(job.id, owner="")

    serve.start(Settings(port=0, database=database, retention=retention), lambda _: None).stop()

    assert len(jobs.list(owner="", limit=10)) == left


def test_a_job_continues_after_a_restart(fake_model, tmp_path, photo_png):
    database = f"sqlite:///{tmp_path / 'analyses.db'}"
    Database(database).migrate()
    jobs = JobQueue(Database(database))
    job, _ = jobs.submit(Submission(owner=""), [SubmittedImage("a.png", photo_png)] * 3)
    jobs.finish(jobs.claim(), "a" * 32)

    running = serve.start(Settings(port=0, database=database), lambda _: None)
    results = list(Client(running.url, sleep=lambda _: None).results(job.id))
    running.stop()

    assert [result.number for result in results] == [0, 1, 2]
    assert results[1].analysis == results[2].analysis is not None


def test_a_database_that_cannot_be_used_is_reported_at_the_start(fake_model, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff" * 1000)

    with pytest.raises(StoreError):
        serve.start(Settings(port=0, database=f"sqlite:///{tmp_path / 'photo.jpg'}"), pytest.fail)


def test_signals_are_still_handled_after_reloads_of_real_networks(joint_bundle, tmp_path):
    command = [
        sys.executable,
        "-m",
        "tamperscope",
        "serve",
        "--port",
        "0",
        "--threads",
        "1",
        "--cache",
        "none",
        "--model",
        str(joint_bundle.path),
        "--database",
        f"sqlite:///{tmp_path / 'analyses.db'}",
    ]
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, **pipes, env=environment, text=True) as server:
        server.stdout.readline()
        for _ in range(2):
            server.send_signal(signal.SIGHUP)
            assert "reloaded" in next((line for line in server.stderr if "reload" in line), "it died")
        server.send_signal(signal.SIGTERM)

        assert server.wait(timeout=60) == 0


def test_a_hangup_with_a_broken_bundle_changes_nothing(running, monkeypatch, caplog):
    def broken(*args, **kwargs):
        raise BundleError("model is incomplete: joint.onnx is missing.")

    monkeypatch.setattr(tamperscope.detector, "Detector", SimpleNamespace(load=broken))

    with pytest.raises(BundleError):
        running.reload()
    with urllib.request.urlopen(f"{running.url}/ready", timeout=60) as ready:
        assert json.load(ready)["bundle"]["name"] == "fake"


def test_the_server_is_ready_once_its_address_is_printed(running, said, photo_png):
    assert running.url in said[0]
    with urllib.request.urlopen(f"{running.url}/ready", timeout=60) as response:
        assert response.status == 200
    assert post(f"{running.url}/classify", photo_png)[0] == 200


def test_nothing_answers_after_the_stop(running):
    running.stop()
    running.stop()

    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{running.url}/health", timeout=60)


@pytest.mark.parametrize("size", [25_000, 120_000], ids=["image limit", "request limit"])
@pytest.mark.parametrize("chunked", [False, True], ids=["with length", "chunked"])
def test_too_many_bytes_over_the_wire(running, size, chunked):
    connection = HTTPConnection(urlsplit(running.url).netloc, timeout=60)
    body = form(b"\0" * size)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    if chunked:
        connection.request("POST", "/segment", iter([body]), headers, encode_chunked=True)
    else:
        connection.request("POST", "/segment", body, headers)

    response = connection.getresponse()

    assert (response.status, response.headers.get_content_type()) == (413, "application/problem+json")
    connection.close()


def test_a_port_in_use_is_one_sentence(fake_model):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(SettingsError, match=rf"cannot listen on 127.0.0.1 port {port}"):
            serve.start(Settings(port=port))


@pytest.mark.parametrize("host", ["no such host", "a..b"])
def test_an_unknown_host_is_one_sentence(fake_model, host):
    with pytest.raises(SettingsError, match=rf"cannot listen on {host} port 0: \w"):
        serve.start(Settings(host=host, port=0))


def test_a_broken_bundle_frees_the_port(monkeypatch):
    def broken(*args, **kwargs):
        raise BundleError("model is not a bundle.")

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    monkeypatch.setattr(tamperscope.detector, "Detector", SimpleNamespace(load=broken))

    with pytest.raises(BundleError):
        serve.start(Settings(port=port))

    socket.create_server(("127.0.0.1", port)).close()


def test_the_server_keeps_running_without_its_tunnel(fake_model, said, photo_png):
    running = serve.start(Settings(port=0, tunnel="ngrok"), said.append)

    assert len(said) == 2
    assert "NGROK_TOKEN is not set" in said[1]
    assert running.tunnel is None
    assert post(f"{running.url}/classify", photo_png)[0] == 200
    running.stop()


def test_the_public_address_is_printed_and_closed_at_the_end(fake_model, said, monkeypatch):
    closed = []
    tunnel = SimpleNamespace(public_url="https://abc.ngrok.example", close=lambda: closed.append(True))
    monkeypatch.setattr(serve, "open_tunnel", lambda url, token: tunnel)

    serve.start(Settings(port=0, tunnel="ngrok", ngrok_token="2secret"), said.append).stop()

    assert "https://abc.ngrok.example" in said[1]
    assert "2secret" not in "".join(said)
    assert closed


def no_limit(path: str, authorization: str | None) -> int:
    return 2**40


def connect(url: str) -> socket.socket:
    connection = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=60)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return connection


def raw_post(path: str, data: bytes) -> bytes:
    body = form(data)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def test_a_client_that_sends_slowly_or_vanishes_blocks_nothing(running, photo_png):
    request = raw_post("/classify", photo_png)
    slow = [connect(running.url) for _ in range(30)]
    for number, connection in enumerate(slow):
        connection.sendall(request[: len(request) * number // len(slow)])

    assert post(f"{running.url}/classify", photo_png)[0] == 200
    for connection in slow:
        connection.close()
    assert post(f"{running.url}/classify", photo_png)[0] == 200


def test_a_client_that_never_finishes_sending_is_cut_off(fake_model, monkeypatch, photo_png):
    monkeypatch.setattr(loop, "_TRANSFER_SECONDS", 0.0)
    running = serve.start(Settings(port=0), print)
    with connect(running.url) as connection:
        connection.sendall(raw_post("/classify", photo_png)[:-1])

        assert connection.recv(1) == b""
    running.stop()


def test_a_client_that_never_reads_the_answer_blocks_nothing(monkeypatch):
    """Of two requests on one connection, the second must not occupy a thread until the first is read."""
    app = Flask("large")
    app.add_url_rule("/large", "large", view_func=lambda: bytes(40 * 2**20))
    app.add_url_rule("/small", "small", view_func=lambda: "small")
    monkeypatch.setattr(loop, "_SPARE_THREADS", 1)
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    serving = loop.Loop(app, Settings(workers=1, queue=0), listener, no_limit)
    silent = [connect(url) for _ in range(2)]
    for connection in silent:
        connection.sendall(2 * b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"

    with urllib.request.urlopen(f"{url}/small", timeout=20) as response:
        assert response.read() == b"small"
    for connection in silent:
        connection.close()
    serving.stop()


@contextmanager
def stopped_while_connecting(sent: bytes) -> Iterator[socket.socket]:
    """Yield a connection that has sent data to a server that is stopped before accepting it."""
    app = Flask("small")
    app.add_url_rule("/", "small", view_func=lambda: "small")
    begin = threading.Event()

    class Loop(loop.Loop):
        def _run(self) -> None:
            begin.wait(60)
            super()._run()

    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    with socket.create_connection(address, timeout=60) as connection, ThreadPoolExecutor(1) as threads:
        connection.sendall(sent)
        serving = Loop(app, Settings(), listener, no_limit)
        stopped = threads.submit(serving.stop)
        assert serving._stopping.wait(60)
        begin.set()
        yield connection
        stopped.result(timeout=60)


def test_a_stop_answers_every_client_that_has_connected():
    with stopped_while_connecting(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_a_stop_waits_for_an_incomplete_request():
    with stopped_while_connecting(b"GET / HTTP/1.1\r\n") as connection:
        # Until the server no longer listens.
        with suppress(ConnectionError):
            while True:
                socket.create_connection(connection.getpeername(), timeout=60).close()
        connection.sendall(b"Host: x\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"


DAMAGES = {
    "cut off graph": lambda folder: _cut(folder / "joint.onnx"),
    "cut off weights": lambda folder: _cut(folder / "joint.safetensors"),
    "wrong checksum": lambda folder: _flip(folder / "joint.safetensors"),
    "missing weights": lambda folder: (folder / "joint.safetensors").unlink(),
    "another schema": lambda folder: _replace(folder / "bundle.json", '"schema": 1', '"schema": 99'),
    "no manifest": lambda folder: (folder / "bundle.json").unlink(),
    "unreadable manifest": lambda folder: _to_folder(folder / "bundle.json"),
}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _flip(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def _replace(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def _to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_wrong_model_is_one_sentence_and_leaves_the_old_one_serving(
    joint_bundle, photo_png, tmp_path, damage
):
    model = shutil.copytree(joint_bundle.path, tmp_path / "model")
    running = serve.start(Settings(port=0, model=model, threads=1, cache=None), print)
    damage(model)

    with pytest.raises(BundleError, match="model"):
        running.reload()
    assert post(f"{running.url}/classify", photo_png)[0] == 200
    running.stop()

    refused = CliRunner().invoke(main, ["serve", "--port", "0", "--model", str(model)])
    assert refused.exit_code == 2
    assert refused.stderr.strip().count("\n") == 0
    assert str(model) in refused.stderr
