"""Access control: API keys and the rate limit.

If the server has keys, every view requires one unless it is `@public`.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, g, request
from werkzeug.datastructures import Authorization, WWWAuthenticate
from werkzeug.exceptions import Forbidden, TooManyRequests, Unauthorized

from tamperscope.server.middleware.keys import Key, KeyRing
from tamperscope.server.middleware.rate_limit import limiter
from tamperscope.settings import Settings

_View = TypeVar("_View", bound=Callable[..., Any])


def public(view: _View) -> _View:
    """Let everyone call a view, without a key and without a rate limit."""
    view.public = True  # type: ignore[attr-defined]
    return view


def administrative(view: _View) -> _View:
    """Let only an administrator's key call a view; if the server has no keys, no one can."""
    view.administrative = True  # type: ignore[attr-defined]
    return view


def is_public(view: Callable[..., Any]) -> bool:
    """Return whether a view is `@public`."""
    return getattr(view, "public", False)


def owner() -> str:
    """Return who owns what this request stores: the id of its key, or nothing if the server has no keys."""
    id: str = g.get("owner", "")
    return id


def read_keys(settings: Settings) -> KeyRing | None:
    """Return the keys of a server, or None if it has none; raises `SettingsError` for an invalid file."""
    return KeyRing.read(settings.keys) if settings.keys else None


def network_of(address: str | None) -> str:
    """Return an IPv4 address, or the /64 network of an IPv6 address, all of which one subscriber has."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return str(address)
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))


class Access:
    """The keys and the rate limit (requests per minute and caller) of a server; None disables either.

    Servers with the same `redis` count together.
    """

    def __init__(self, keys: KeyRing | None, rate_limit: int | None, redis: str | None = None) -> None:
        self.keys = keys
        self._rate_limit = rate_limit
        self._limiter = limiter(rate_limit, redis) if rate_limit else None

    def register(self, app: Flask) -> None:
        """Check every request of `app` before its view runs."""

        @app.before_request
        def check() -> None:
            view = app.view_functions.get(request.endpoint or "")
            # The address does not exist, or the request is a browser's CORS preflight.
            if view is None or request.method == "OPTIONS" or is_public(view):
                return
            key = self._authenticated(administrator=getattr(view, "administrative", False))
            self._check_rate(f"key {key.owner}" if key else f"address {network_of(request.remote_addr)}")

    def admits(self, authorization: str | None) -> bool:
        """Return whether a view that takes a body can accept a request with this `Authorization`."""
        if self.keys is None:
            return True
        token = _token(Authorization.from_header(authorization))
        return token is not None and self.keys.find(token) is not None

    def _authenticated(self, *, administrator: bool) -> Key | None:
        if self.keys is None:
            if administrator:
                raise Forbidden(
                    "This request needs an administrator's key, but the server was started without keys."
                )
            return None
        token = _token(request.authorization)
        if token is None:
            raise _unauthorized("This server requires a key: send the header 'Authorization: Bearer <key>'.")
        key = self.keys.find(token)
        if key is None:
            raise _unauthorized("This key is not valid on this server.")
        if administrator and not key.admin:
            raise Forbidden("This request needs an administrator's key.")
        g.key, g.owner = key.name, key.owner
        return key

    def _check_rate(self, caller: str) -> None:
        if self._limiter and (seconds := self._limiter.seconds_to_wait(caller, time.monotonic())):
            raise TooManyRequests(
                f"This server accepts {self._rate_limit} requests per minute from one caller; "
                f"try again in {seconds} s.",
                retry_after=seconds,
            )


def _token(given: Authorization | None) -> str | None:
    return given.token if given and given.type == "bearer" else None


def _unauthorized(detail: str) -> Unauthorized:
    return Unauthorized(detail, www_authenticate=WWWAuthenticate("bearer"))
