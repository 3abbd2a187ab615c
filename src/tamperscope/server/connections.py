"""The connections of a server: how much a client may send, announce, and leave unread.

Waitress reads and writes HTTP. This file bounds what one connection, and all of them together, can hold:

- A connection has one request in progress. What follows it is not read until its answer has been sent.
- A request is judged by its header. If the application would refuse it for its key or its length, its body is
  not received; the application answers at once.
- All uploads and unread answers share one budget of bytes.
"""

from __future__ import annotations

import logging
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import quote

from waitress.adjustments import Adjustments
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import WSGITask
from waitress.utilities import BadRequest

from tamperscope.api import Problem
from tamperscope.errors import BusyError, TamperscopeError, TemporaryFolderError
from tamperscope.server.middleware import problems, request_log

REFUSAL = "tamperscope.refusal"
"""Key of the WSGI environment: why the body of a request was not received, as an exception, or None."""
MOST_CONNECTIONS = 500
IN_MEMORY_BYTES = 64 * 1024
"""A body or an answer beyond this size is in a temporary file."""
UNLIMITED = sys.maxsize

_LINGER_SECONDS = 5.0
_VERSIONS = ("1.0", "1.1")
# Waitress's spelling of the header.
_REQUEST_ID = request_log.HEADER.upper().replace("-", "_")

_log = logging.getLogger(__name__)

BodyLimit = Callable[[str, str | None], int]
"""Returns the bytes that the body of a request may have, from its path and its `Authorization`."""


class Spool:
    """The budget for the bytes of all uploads and unread answers.

    The loop counts them every second. In between, received bytes are added.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._used = 0

    def received(self, count: int) -> bool:
        """Add received bytes; return whether they fit into the budget."""
        self._used += count
        return self._used <= self.budget

    def count(self, channels: Collection[Channel]) -> None:
        """Count again, and close the connections that leave most unread until the rest fits."""
        self._used = sum(channel.held for channel in channels)
        for channel in sorted(channels, key=lambda channel: channel.unread, reverse=True):
            if self._used <= self.budget or not channel.unread:
                return
            self._used -= channel.held
            channel.handle_close()


class Parser(HTTPRequestParser):
    """One request, judged by its header."""

    adj: Adjustments
    # Waitress sets neither for a header that it refuses.
    command = path = ""
    unread_body = False
    """Whether the client may still be sending a body that no one will read."""
    refusal: TamperscopeError | None = None

    def __init__(self, limit: BodyLimit, spool: Spool, adj: Adjustments) -> None:
        super().__init__(adj)
        self._limit_of = limit
        self._limit = 0
        self._spool = spool

    def parse_header(self, header_plus: bytes) -> None:
        """Read the header, and decide whether the body will be received."""
        try:
            super().parse_header(header_plus)
        except ValueError:
            raise ParsingError("Content-Length is invalid") from None
        # Set here so that the loop knows it too, to answer and log a request that is given up.
        self.headers[_REQUEST_ID] = request_log.id_of(self.headers.get(_REQUEST_ID, ""))
        # A proxy and this server must agree where a request ends, and whom it addresses (RFC 9112).
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Content-Length and Transfer-Encoding exclude each other")
        if "," in self.headers.get("HOST", "") or self.version not in ("", *_VERSIONS):
            raise ParsingError("HTTP message header invalid")
        self._limit = self._limit_of(self.path, self.headers.get("AUTHORIZATION"))
        if self.content_length > self._limit or (self.chunked and not self._limit):
            self._leave_body()

    def received(self, data: bytes) -> int:
        """Read the next bytes and return how many belong to this request."""
        before = self.size
        try:
            consumed = int(super().received(data))
        except OSError:
            _log.error("the temporary folder is full: an upload was refused")
            self.refusal = TemporaryFolderError("The server has no room for this upload; try again later.")
            self._leave_body()
            return len(data)
        if self._endless_line():
            self.error = BadRequest("A line of the chunked body is too long")
            self.completed = True
        elif not self._spool.received(self.size - before):
            self.refusal = BusyError(
                "The server is receiving as many uploads as it can; try again in a few seconds."
            )
            self._leave_body()
        elif self.size > self._limit:
            # Only a chunked body announces no length. The application judges by it.
            self.headers["CONTENT_LENGTH"] = str(self.size)
            self._leave_body()
        return consumed

    @property
    def size(self) -> int:
        """Bytes of the body so far."""
        return len(self.body_rcv) if self.body_rcv is not None else 0

    def _endless_line(self) -> bool:
        # Waitress keeps an unfinished line in memory, and looks through all of it each time.
        lines = getattr(self.body_rcv, "control_line", b""), getattr(self.body_rcv, "trailer", b"")
        return max(map(len, lines)) > IN_MEMORY_BYTES

    def _leave_body(self) -> None:
        self.close()
        self.body_rcv = None
        self.content_length = 0
        self.expect_continue = False
        self.unread_body = True
        self.headers["CONNECTION"] = "close"
        self.completed = self.headers_finished


class Task(WSGITask):
    """The call of the application for one request."""

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment, which says whether the body was refused."""
        environ: dict[str, Any] = super().get_environment()
        environ[REFUSAL] = self.request.refusal
        return environ


class Channel(HTTPChannel):
    """One connection."""

    task_class = Task
    request: Parser | None

    def __init__(self, limit: BodyLimit, spool: Spool, server: Any, *args: Any, **options: Any) -> None:
        self.parser_class = partial(Parser, limit, spool)
        self._answering: Parser | None = None
        self._ahead = b""
        self._unread_body = False
        self.lingering_until: float | None = None
        """When a connection that was answered early is closed although its client still sends."""
        super().__init__(server, *args, **options)
        _make_room(server.active_channels.values())

    @property
    def unread(self) -> int:
        """Bytes of answers that the client has not read."""
        return int(self.total_outbufs_len)

    @property
    def held(self) -> int:
        """Bytes that this connection occupies: its request's body, and what the client has not read."""
        requests = (*self.requests, *([self.request] if self.request else []))
        return self.unread + sum(int(request.size) for request in requests)

    def readable(self) -> bool:
        """Return whether the loop should read; first continue with what was read ahead."""
        if self.lingering_until:
            return True
        if self._ahead and not self.requests and not self.total_outbufs_len:
            ahead, self._ahead = self._ahead, b""
            self.received(ahead)
        return not self._ahead and not self._unread_body and bool(super().readable())

    def received(self, data: bytes) -> bool:
        """Take one request, and keep what follows until that request is answered."""
        with self.requests_lock:
            if not data or self.will_close or self.close_when_flushed:
                return False
            while data and not self.requests and not self.total_outbufs_len:
                self.request = self.request or self.parser_class(self.adj)
                data = data[self.request.received(data) :]
                if self.request.expect_continue and self.request.headers_finished and not self.sent_continue:
                    self.send_continue()
                if self.request.completed:
                    self._complete(self.request)
            self._ahead = b"" if self._unread_body else data
        return True

    def _complete(self, request: Parser) -> None:
        self.sent_continue = False
        self.request = None
        if not request.empty:
            self._unread_body = request.unread_body
            self.requests.append(request)
            self.server.add_task(self)

    def handle_read(self) -> None:
        """Read what the client sends, or discard it after an early answer."""
        if not self.lingering_until:
            super().handle_read()
            return
        with suppress(OSError):
            self.recv(IN_MEMORY_BYTES)

    def handle_write(self) -> None:
        """Send what there is to send."""
        if not (self.close_when_flushed and self._unread_body):
            super().handle_write()
            return
        self._flush_exception(self._flush_some)
        if self.will_close:
            self.handle_close()
        elif self.connected and not self.total_outbufs_len:
            self._linger()

    def _linger(self) -> None:
        """Say that no more will be sent, but keep reading for a while.

        If a connection is closed while its client sends, the client may never see the answer (RFC 9112, 9.6).
        """
        self.close_when_flushed = False
        self.lingering_until = time.monotonic() + _LINGER_SECONDS
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def handle_close(self) -> None:
        """Close the connection and delete what it had sent of a request."""
        if self.request is not None:
            self.request.close()
        self._ahead = b""
        super().handle_close()

    def write_soon(self, data: Any) -> int:
        """Queue a part of an answer; returns its size."""
        self._answering = self.requests[0]
        try:
            written: int = super().write_soon(data)
        except OSError:
            _log.error("the temporary folder is full: an answer was cut off")
            self.will_close = True
            raise ClientDisconnected from None
        return written

    def give_up(self, seconds: float) -> None:
        """Answer 503 for a request that is still in progress, and log it."""
        with self.outbuf_lock:
            # A second answer would corrupt one that has begun.
            if not self.requests or self.requests[0] is self._answering:
                return
            request = self.requests[0]
            # A request whose header was refused has no id yet.
            request_id = request_log.id_of(request.headers.get(_REQUEST_ID, ""))
            answer = _cut_off(request_id)
            self.outbufs[-1].append(answer)
            self.total_outbufs_len += len(answer)
            self._flush_exception(self._flush_some, do_close=False)
            self.handle_close()
        _log.warning(
            "%s %s 503, not answered within the %g s allowed for shutdown %s",
            request.command,
            quote(request.path[:200]),
            seconds,
            request_id,
        )


def _make_room(channels: Collection[Channel]) -> None:
    """If there are too many, close the one that has been idle longest, of the address that has most."""
    if len(channels) <= MOST_CONNECTIONS:
        return
    idle = [channel for channel in channels if not channel.requests]
    of_address = Counter(channel.addr[0] for channel in idle)
    longest = max(idle, key=lambda channel: (of_address[channel.addr[0]], -channel.last_activity))
    longest.handle_close()


def _cut_off(request_id: str) -> bytes:
    """Return a 503 answer made without the application, whose threads are all busy."""
    detail = "The server is shutting down and could not finish this request in time; send it again."
    body = Problem(
        type=problems.uri("stopping"), title="Stopping", status=503, detail=detail, error=detail
    ).model_dump_json()
    head = (
        "HTTP/1.1 503 Service Unavailable",
        f"Content-Type: {problems.CONTENT_TYPE}",
        f"Content-Length: {len(body)}",
        f"Retry-After: {problems.RETRY_AFTER_SECONDS}",
        f"{request_log.HEADER}: {request_id}",
        "Connection: close",
    )
    return "\r\n".join((*head, "", body)).encode()
