from __future__ import annotations

import sys
import threading
from types import SimpleNamespace

import pytest

from tamperscope.errors import TunnelError
from tamperscope.server.tunnel import open_tunnel

LOCAL = "http://127.0.0.1:5000"
PUBLIC = "https://abc.ngrok.example"
TOKEN = "2secret"


class Agent:
    """A stand-in for the ngrok package, without a network."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.forwarded: list[tuple[str, str]] = []
        self.disconnected: list[str] = []

    def forward(self, addr: str, *, authtoken: str) -> SimpleNamespace:
        if self.failure:
            raise self.failure
        self.forwarded.append((addr, authtoken))
        return SimpleNamespace(url=lambda: PUBLIC)

    def disconnect(self, url: str) -> None:
        self.disconnected.append(url)


def test_the_tunnel_leads_to_the_local_server_until_it_is_closed():
    agent = Agent()

    tunnel = open_tunnel(LOCAL, TOKEN, agent=agent)

    assert tunnel.public_url == PUBLIC
    assert agent.forwarded == [("127.0.0.1:5000", TOKEN)]
    tunnel.close()
    assert agent.disconnected == [PUBLIC]


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token(token):
    with pytest.raises(TunnelError, match="NGROK_TOKEN is not set"):
        open_tunnel(LOCAL, token, agent=Agent())


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "ngrok", None)

    with pytest.raises(TunnelError, match=r"pip install 'tamperscope\[tunnel\]'"):
        open_tunnel(LOCAL, TOKEN)


def test_without_a_network():
    failure = ValueError("failed to connect session", "failed to establish tcp connection")

    with pytest.raises(TunnelError, match="ngrok cannot be reached"):
        open_tunnel(LOCAL, TOKEN, agent=Agent(failure))


def test_a_network_that_drops_everything_does_not_block_the_server():
    never = threading.Event()
    agent = SimpleNamespace(forward=lambda addr, *, authtoken: never.wait())

    with pytest.raises(TunnelError, match="did not answer in time"):
        open_tunnel(LOCAL, TOKEN, agent=agent, timeout=0.01)
    never.set()


def test_a_refused_token_is_not_repeated():
    failure = ValueError("failed to connect session", f"Your authtoken: {TOKEN}", "ERR_NGROK_105")

    with pytest.raises(TunnelError, match="ERR_NGROK_105") as refusal:
        open_tunnel(LOCAL, TOKEN, agent=Agent(failure))

    assert TOKEN not in str(refusal.value)
