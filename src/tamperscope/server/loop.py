"""The serving loop: waitress in its own thread, with a shutdown that waits for the running requests."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from functools import partial
from typing import Any

from flask import Flask
from waitress import wasyncore
from waitress.server import create_server

from tamperscope.server.connections import (
    IN_MEMORY_BYTES,
    MOST_CONNECTIONS,
    UNLIMITED,
    BodyLimit,
    Channel,
    Spool,
)
from tamperscope.settings import Settings

# Threads beyond those that analyse or wait: they answer /health, and 503 while the queue is full.
_SPARE_THREADS = 4
_FAREWELL_SECONDS = 2.0
"""Time to send the remaining answers after the drain period has passed."""
_IDLE_SECONDS = 30
_HEAD_SECONDS = 10.0
"""Time for the header of a request."""
_TRANSFER_SECONDS = 120.0
"""For one request or answer. A large upload gets more time, calculated at 3.5 Mbit/s."""
_SLOWEST_BYTES_PER_SECOND = 437_500


class Loop:
    """Serves an application on a listening socket until it is stopped.

    Waitress itself stops through an exception inside its loop, which closes sockets before their answers are
    sent.
    """

    def __init__(
        self, app: Flask, settings: Settings, listener: socket.socket, body_limit: BodyLimit
    ) -> None:
        self._sockets: dict[int, wasyncore.dispatcher] = {}
        self._server = create_server(
            app,
            map=self._sockets,
            sockets=[listener],
            threads=settings.workers + settings.queue + _SPARE_THREADS,
            # The parser knows better: the limit depends on the request.
            max_request_body_size=UNLIMITED,
            inbuf_overflow=IN_MEMORY_BYTES,
            outbuf_overflow=IN_MEMORY_BYTES,
            # Never reached: a connection in excess replaces another one.
            connection_limit=2 * MOST_CONNECTIONS,
            channel_timeout=_IDLE_SECONDS,
            # Reading ahead while a request waits reveals whether its client is still connected.
            channel_request_lookahead=1,
            # Above this many bytes, a thread would wait for its client to read, which may never happen. A
            # connection has one answer at a time, and all of them together have the budget of the spool.
            outbuf_high_watermark=UNLIMITED,
            ident=None,
            **_trust(settings.trusted_proxy),
        )
        self._spool = Spool(settings.spool)
        self._server.channel_class = partial(Channel, body_limit, self._spool)
        self._drain_seconds = settings.drain
        self._transfers: dict[Channel, float] = {}
        self._stopping = threading.Event()
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="tamperscope-server", daemon=True).start()

    def wait(self) -> None:
        """Return when the loop has ended."""
        # Not by joining the thread: a signal during `join` makes Python 3.11 and 3.12 believe that the
        # thread has ended. In slices, because some platforms do not interrupt an endless wait for Ctrl-C.
        while not self._ended.wait(1.0):
            pass

    def ends_within(self, seconds: float) -> bool:
        """Return whether the loop ends within that time."""
        return self._ended.wait(seconds)

    def stop(self) -> None:
        """Accept no more connections, let the running requests finish, and return when the loop has ended."""
        if not self._stopping.is_set():
            self._stopping.set()
            # The loop may have noticed and ended already; then there is nothing left to wake.
            with suppress(OSError):
                self._server.pull_trigger()
        self.wait()

    def _run(self) -> None:
        try:
            checked = time.monotonic()
            while not self._stopping.is_set():
                self._step(1.0)
                if (now := time.monotonic()) >= checked + 1:
                    checked = now
                    self._close_slow(now)
                    self._spool.count(self._channels())
            self._drain()
        finally:
            self._ended.set()

    def _drain(self) -> None:
        self._accept_all()
        # Only the listening socket: the server's own close would also end the trigger that wakes this loop.
        wasyncore.dispatcher.close(self._server)
        self._answer_within(self._drain_seconds)
        for channel in self._channels():
            channel.give_up(self._drain_seconds)
        self._answer_within(_FAREWELL_SECONDS)
        self._server.task_dispatcher.shutdown(timeout=_FAREWELL_SECONDS)
        wasyncore.close_all(self._sockets)

    def _accept_all(self) -> None:
        """Accept every client that has connected: closing the listening socket would cut it off."""
        before = -1
        while len(self._server.active_channels) != before:
            before = len(self._server.active_channels)
            self._step(0.0)

    def _answer_within(self, seconds: float) -> None:
        """Close each connection that has nothing left to read, process or send."""
        deadline = time.monotonic() + seconds
        while self._server.active_channels and time.monotonic() < deadline:
            self._step(0.1)
            for channel in self._channels():
                if not (channel.request or channel.requests or channel.unread):
                    channel.handle_close()

    def _close_slow(self, now: float) -> None:
        """Close connections whose request or answer transfers too slowly; waitress closes idle ones."""
        channels = self._channels()
        moving = {
            channel
            for channel in channels
            if channel.request is not None or (channel.unread and not channel.requests)
        }
        self._transfers = {channel: self._transfers.get(channel, now) for channel in moving}
        for channel, begun in self._transfers.items():
            if now - begun > _seconds_allowed(channel):
                channel.handle_close()
        for channel in channels:
            if channel.lingering_until and now > channel.lingering_until:
                channel.handle_close()

    def _channels(self) -> tuple[Channel, ...]:
        return tuple(self._server.active_channels.values())

    def _step(self, timeout: float) -> None:
        wasyncore.loop(timeout=timeout, use_poll=True, map=self._sockets, count=1)


def _seconds_allowed(channel: Channel) -> float:
    request = channel.request
    if request is None:
        return _TRANSFER_SECONDS
    if not request.headers_finished:
        return min(_HEAD_SECONDS, _TRANSFER_SECONDS)
    return float(_TRANSFER_SECONDS + request.content_length / _SLOWEST_BYTES_PER_SECOND)


def _trust(proxy: str | None) -> dict[str, Any]:
    if proxy is None:
        return {}
    return {
        "trusted_proxy": proxy,
        "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"},
        "clear_untrusted_proxy_headers": True,
    }
