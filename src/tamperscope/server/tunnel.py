"""A public address for a local server, through the official ngrok package (extra `tunnel`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from tamperscope import background
from tamperscope.errors import TunnelError

# Otherwise, behind a firewall that drops packets, the ngrok package would keep trying for minutes.
_OPENING_SECONDS = 15.0
_CLOSING_SECONDS = 3.0


class Agent(Protocol):
    """The part of the `ngrok` module that this file uses."""

    def forward(self, addr: str, *, authtoken: str) -> Any:
        """Open a tunnel to `addr`; the returned listener has a `url()`."""

    def disconnect(self, url: str) -> Any:
        """Close the tunnel with that public address."""


@dataclass(frozen=True)
class Tunnel:
    """An open tunnel."""

    public_url: str
    _agent: Agent

    def close(self) -> None:
        """Close the tunnel; ngrok also closes it when the process ends."""
        with suppress(Exception):
            _in_thread(lambda: self._agent.disconnect(self.public_url), _CLOSING_SECONDS)


def open_tunnel(
    local_url: str, token: str | None, *, agent: Agent | None = None, timeout: float = _OPENING_SECONDS
) -> Tunnel:
    """Return a tunnel to `local_url`, opened by `agent`, or by the ngrok package if that is None.

    Raises `TunnelError` when there is no token, no package, no network or no answer within `timeout` seconds,
    or when ngrok refuses. Its message never contains the token.
    """
    if not token:
        raise TunnelError("No ngrok tunnel was opened because NGROK_TOKEN is not set.")
    agent = agent or _ngrok()
    address = urlsplit(local_url).netloc
    try:
        listener = _in_thread(lambda: agent.forward(address, authtoken=token), timeout)
    except Exception as error:
        raise TunnelError(f"The ngrok tunnel could not be opened: {_reason(error)}.") from None
    return Tunnel(listener.url(), agent)


def _ngrok() -> Agent:
    try:
        import ngrok
    except ImportError:
        raise TunnelError(
            "No ngrok tunnel was opened because the ngrok package is missing; "
            "install it with: pip install 'tamperscope[tunnel]'."
        ) from None
    return cast("Agent", ngrok)


def _in_thread(call: Callable[[], Any], timeout: float) -> Any:
    """Return what `call` returns, or raise what it raises or `TimeoutError`.

    The ngrok package runs in its own thread for two reasons: it cannot be told to give up, and it returns
    coroutines when an event loop is running, as in a notebook.
    """
    return background.begin(call, "ngrok").result(timeout)


def _reason(error: Exception) -> str:
    # ngrok's own message is not passed on, because it quotes a token that it refuses.
    if code := re.search(r"ERR_NGROK_\d+", str(error)):
        return f"ngrok refused with {code[0]}"
    return "ngrok did not answer in time" if isinstance(error, TimeoutError) else "ngrok cannot be reached"
