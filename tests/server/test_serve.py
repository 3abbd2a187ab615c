"""The server as a process: real sockets, real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from fakes import FakeDetector
from tamperscope.errors import BundleError, SettingsError
from tamperscope.server import serve
from tamperscope.server.settings import Settings

TESTS = Path(__file__).parents[1]

# Holds each analysis until it reads a line, so that the test decides when the running request ends.
HOLDING_SERVER = """
import sys, threading, types
from fakes import FakeDetector
from tamperscope.server import serve
from tamperscope.server.settings import Settings

detector = FakeDetector(holding=True)
serve.Detector = types.SimpleNamespace(load=lambda *args, **kwargs: detector)

def relay():
    detector.entered.acquire()
    print("analysing", flush=True)
    sys.stdin.readline()
    detector.release.set()

threading.Thread(target=relay, daemon=True).start()
serve.run(Settings(port=0))
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
    monkeypatch.setattr(serve, "Detector", SimpleNamespace(load=lambda *args, **kwargs: FakeDetector()))


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def running(fake_model, said):
    running = serve.start(Settings(port=0, max_bytes=20_000), said.append)
    yield running
    running.stop()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_running_request_finish(photo_png, stop):
    with (
        ThreadPoolExecutor() as threads,
        subprocess.Popen(
            [sys.executable, "-c", HOLDING_SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
            text=True,
        ) as server,
    ):
        url = server.stdout.readline().split()[-1]
        answer = threads.submit(post, f"{url}/classify", photo_png)
        assert server.stdout.readline() == "analysing\n"

        server.send_signal(stop)
        assert "Stopping" in server.stdout.readline()
        server.send_signal(stop)
        server.stdin.write("go on\n")
        server.stdin.flush()

        status, classified = answer.result(timeout=60)
        assert (status, classified["class_name"]) == (200, "copymove")
        assert server.wait(timeout=60) == 0


def test_ready_and_answering_once_the_address_is_said(running, said, photo_png):
    assert running.url in said[0]
    with urllib.request.urlopen(f"{running.url}/ready", timeout=60) as response:
        assert response.status == 200
    assert post(f"{running.url}/classify", photo_png)[0] == 200


def test_nobody_answers_after_the_stop(running):
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


def test_an_unknown_host_is_one_sentence(fake_model):
    with pytest.raises(SettingsError, match="cannot listen on"):
        serve.start(Settings(host="no such host", port=0))


def test_a_broken_bundle_frees_the_port(monkeypatch):
    def broken(*args, **kwargs):
        raise BundleError("model is not a bundle.")

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    monkeypatch.setattr(serve, "Detector", SimpleNamespace(load=broken))

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


def test_the_public_address_is_said_and_closed_at_the_end(fake_model, said, monkeypatch):
    closed = []
    tunnel = SimpleNamespace(public_url="https://abc.ngrok.example", close=lambda: closed.append(True))
    monkeypatch.setattr(serve, "open_tunnel", lambda url, token: tunnel)

    serve.start(Settings(port=0, tunnel="ngrok", ngrok_token="2secret"), said.append).stop()

    assert "https://abc.ngrok.example" in said[1]
    assert "2secret" not in "".join(said)
    assert closed
