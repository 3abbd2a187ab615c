"""Webhooks: signed messages that a job has ended, with retries, and never to private networks by default.

Messages follow Standard Webhooks (https://www.standardwebhooks.com), with the headers `webhook-id`,
`webhook-timestamp` and `webhook-signature`. The signature is `v1,` and the base64 of the HMAC-SHA256 of
`{id}.{timestamp}.{body}`. Its key is the secret without `whsec_`, decoded from base64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import logging
import re
import socket
import ssl
import threading
import time
from binascii import Error as Base64Error
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from datetime import timedelta
from functools import partial
from http.client import HTTPConnection, HTTPException
from urllib.parse import SplitResult, urlsplit

from tamperscope._version import __version__
from tamperscope.background import begin
from tamperscope.errors import WebhookError
from tamperscope.jobs.model import Job, WebhookDelivery, WebhookTarget
from tamperscope.jobs.outbox import DueMessage, Outbox

_SECRET_PREFIX = "whsec_"  # noqa: S105
_SECRET_BYTES = range(24, 65)
_LONGEST_URL = 2000
_STEP_SECONDS = 10.0
_WHOLE_SECONDS = 20.0
_AT_ONCE = 8
_AT_ONCE_OF_OWNER = 4
_RESTING = timedelta(seconds=30)
"""Pause of a host after a message did not arrive."""
_LOOK_AGAIN_SECONDS = 1.0
# NAT64: the last 32 bits are an IPv4 address.
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
_NEVER_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        # The tables of older Pythons lack these (IANA's special-purpose registries).
        "192.0.0.0/24",
        "fec0::/10",
        "3fff::/20",
        "5f00::/16",
        "64:ff9b:1::/48",
        # Azure's own services, which answer every virtual machine at this address.
        "168.63.129.16/32",
    )
)
_ISATAP = (0x00005EFE, 0x02005EFE)
"""The third quarter of an IPv6 address that ends with an IPv4 address (RFC 5214)."""

_log = logging.getLogger(__name__)


def check_target(target: WebhookTarget, *, private: bool = False) -> None:
    """Raise `WebhookError` unless a message could be signed and sent to `target`.

    A host name is resolved and checked only when a message is sent, because its addresses may change. A host
    that is an IP address is checked at once, unless `private` addresses are allowed.
    """
    url = _parsed(target.url)
    _key(target.secret)
    with suppress(ValueError):
        address = ipaddress.ip_address(url.hostname or "")
        if not private and not _is_public(str(address)):
            raise WebhookError("This server sends webhooks to public addresses only.")


class Postman:
    """Delivers the messages about jobs that have ended, with retries.

    Several are delivered at a time, so that a receiver that never answers delays only messages to itself. A
    host receives one at a time, and an owner is served by half of the threads at most. A host that fails
    rests.

    Addresses that are not public, such as those of private networks and this machine, are refused unless
    `private`. Redirects are not followed, because they could lead there. The environment's proxies are not
    used.
    """

    def __init__(
        self, outbox: Outbox, *, private: bool = False, now: Callable[[], float] = time.time
    ) -> None:
        self._outbox = outbox
        self._private = private
        self._now = now
        self._running: dict[Future[None], DueMessage] = {}
        self._resting: dict[str, float] = {}

    def deliver_all(self) -> None:
        """Deliver every message that is due, or schedule its next attempt."""
        while self._begin_more() or self._running:
            ended, _ = wait(self._running, _LOOK_AGAIN_SECONDS, FIRST_COMPLETED)
            for future in ended:
                del self._running[future]
            for future in ended:
                future.result()

    def _begin_more(self) -> bool:
        """Begin as many deliveries as may run beside those that are running; return whether one began."""
        running, began = self._running, False
        for message in self._outbox.due() if len(running) < _AT_ONCE else ():
            host = _host(message)
            owners = sum(other.owner == message.owner for other in running.values())
            if self._resting.get(host, 0.0) > time.monotonic():
                self._outbox.postpone(message, _RESTING)
            elif (
                host not in map(_host, running.values())
                # Without keys, all callers are one owner.
                and owners < (_AT_ONCE_OF_OWNER if message.owner else _AT_ONCE)
                and len(running) < _AT_ONCE
                and (delivery := self._outbox.take(message))
            ):
                running[begin(partial(self._try, delivery, host), "tamperscope-webhook")] = message
                began = True
        return began

    def _try(self, delivery: WebhookDelivery, host: str) -> None:
        reason = self._deliver(delivery)
        if reason is None:
            self._outbox.delivered(delivery)
            return
        # Without the address, which is private to the owner.
        _log.warning("job %s: webhook, attempt %d: %s", delivery.job.id, delivery.attempt, reason)
        self._outbox.not_delivered(delivery, reason)
        now = time.monotonic()
        resting = {other: until for other, until in self._resting.items() if until > now}
        self._resting = {**resting, host: now + _RESTING.total_seconds()}

    def _deliver(self, delivery: WebhookDelivery) -> str | None:
        """Deliver a message; return None, or why it did not arrive."""
        body = message(delivery.job)
        try:
            status = _post(_parsed(delivery.target.url), body, self._headers(delivery, body), self._private)
        except (OSError, HTTPException, ValueError, WebhookError):
            # Details would reveal to a stranger what is in our network.
            return "The address cannot be reached."
        return None if 200 <= status < 300 else f"The address answered with status {status}."

    def _headers(self, delivery: WebhookDelivery, body: bytes) -> dict[str, str]:
        id, timestamp = f"job_{delivery.job.id}", int(self._now())
        return {
            "Content-Type": "application/json",
            "User-Agent": f"tamperscope/{__version__}",
            "webhook-id": id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(delivery.target.secret, id, timestamp, body),
        }


def _host(message: DueMessage) -> str:
    return urlsplit(message.url).netloc.lower()


def message(job: Job) -> bytes:
    """Return the body of the message that a job has ended."""
    return json.dumps(
        {
            "type": "job.finished",
            "timestamp": job.finished.isoformat() if job.finished else None,
            "data": {
                "id": job.id,
                "state": job.state,
                "images": {"total": job.total, "done": job.done, "failed": job.failed},
                "links": {"self": f"/v1/jobs/{job.id}", "results": f"/v1/jobs/{job.id}/results"},
            },
        }
    ).encode()


def sign(secret: str, id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a message; `timestamp` is in seconds since 1970."""
    signed = f"{id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except (Base64Error, ValueError):
        key = b""
    if len(key) not in _SECRET_BYTES:
        raise WebhookError(
            "A webhook needs a secret for its signature: whsec_ and the base64 of 24 to 64 random bytes."
        )
    return key


def _parsed(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        port_is_valid = url.port != 0
    except ValueError:
        raise WebhookError(_INVALID_URL) from None
    if (
        url.scheme not in ("http", "https")
        or not url.hostname
        or url.username is not None
        or url.fragment
        or not port_is_valid
        or len(text) > _LONGEST_URL
        # Any other character could end the request line, or does not belong in a URL.
        or not re.fullmatch(r"[!-~]+", text)
    ):
        raise WebhookError(_INVALID_URL)
    return url


_INVALID_URL = "A webhook needs a URL such as https://news.example/tamperscope, without a user or password."


def _post(url: SplitResult, body: bytes, headers: dict[str, str], private: bool) -> int:
    """Send a message and return the status of the answer without reading its body."""
    secure = url.scheme == "https"
    host = url.hostname or ""
    port = url.port or (443 if secure else 80)
    connection = HTTPConnection(host, port, timeout=_STEP_SECONDS)
    # Connected here, to the very address that was checked. `HTTPConnection` would resolve the name again, and
    # the name's owner could then answer with another address.
    connection.sock = _connect(host, port, private)
    # Each step has its own time limit, but a server that answers byte by byte takes very many steps.
    alarm = threading.Timer(_WHOLE_SECONDS, _cut, (connection,))
    alarm.start()
    try:
        if secure:
            connection.sock = ssl.create_default_context().wrap_socket(
                connection.sock, server_hostname=host, do_handshake_on_connect=False
            )
            connection.sock.do_handshake()
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection.request("POST", path, body, {**headers, "Host": url.netloc, "Connection": "close"})
        return connection.getresponse().status
    finally:
        alarm.cancel()
        connection.close()


def _connect(host: str, port: int, private: bool) -> socket.socket:
    # Resolving has no time limit of its own.
    resolving = begin(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), "tamperscope-resolver")
    found = resolving.result(_STEP_SECONDS)
    addresses = [str(address[0]) for *_, address in found]
    # One address that is not public is enough to refuse: such a name is not meant for us.
    if not private and not all(_is_public(address) for address in addresses):
        raise WebhookError("The address is not public.")
    return socket.create_connection((addresses[0], port), timeout=_STEP_SECONDS)


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text)
    if any(address in network for network in _NEVER_PUBLIC):
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped or address in _TRANSLATED:
            return _is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
        if address.sixtofour or address.teredo or int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _cut(connection: HTTPConnection) -> None:
    with suppress(OSError):
        # Shut down below TLS, because an SSL socket's own shutdown must not be called from another thread.
        socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
