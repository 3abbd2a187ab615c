"""The names a server answers to, and the web pages that may change something on it.

A browser keeps pages of other origins from reading a server that requires no keys. Two attacks remain:

- DNS rebinding: a page resolves its own host name to this server, and then counts as a page of this server.
  The `Host` header still has the page's name.
- Cross-site requests: a page may send forms anywhere, although it cannot read the answer. `Sec-Fetch-Site`
  and `Origin` tell where the page is from.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, request
from werkzeug.exceptions import Forbidden, HTTPException

from tamperscope.server.middleware.access import Access
from tamperscope.settings import ANY_HOST, ANY_ORIGIN, Settings

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::\d{1,5})?", re.ASCII)

_View = TypeVar("_View", bound=Callable[..., Any])


class MisdirectedRequest(HTTPException):
    """The request is for a host that this server is not (RFC 9110, 15.5.20)."""

    code = 421
    description = (
        "This server does not answer to this host name; its operator can add the name with --hosts, or with "
        "TAMPERSCOPE_HOSTS."
    )


def any_origin(view: _View) -> _View:
    """Let pages of every origin call a view, unless the server lists the origins it allows."""
    view.any_origin = True  # type: ignore[attr-defined]
    return view


class Origins:
    """The host names and the origins that a server accepts.

    Accepted hosts are `localhost`, this machine's name, the host it listens on, those of the settings, and
    every IP address: a page cannot be rebound to the name of an address.
    """

    def __init__(self, settings: Settings, access: Access) -> None:
        self._any_host = ANY_HOST in settings.hosts
        self._hosts = {"localhost", settings.host.lower(), socket.gethostname().lower()}
        self._hosts |= {host for host in settings.hosts if not host.startswith(".")}
        self._domains = (".localhost", *(host for host in settings.hosts if host.startswith(".")))
        self._pages = frozenset(settings.cors_origins)
        self._access = access

    def allow_host(self, host: str) -> None:
        """Answer to another host name from now on, such as a tunnel's."""
        self._hosts.add(host.lower())

    def register(self, app: Flask) -> None:
        """Check every request of `app` before its view runs."""

        @app.before_request
        def check() -> None:
            view = app.view_functions.get(request.endpoint or "")
            if getattr(view, "any_origin", False) and ANY_ORIGIN in self._pages:
                return
            # Only programs send no host, and they need no protection from pages.
            host = request.headers.get("Host")
            if host is not None and not self._answers_to(host):
                raise MisdirectedRequest
            # A page that has a key may use it. Browsers never send keys by themselves.
            if request.method in _SAFE_METHODS or self._access.keys is not None:
                return
            if not self._may_write(
                request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin"), host
            ):
                raise Forbidden(
                    "Pages of other web sites may not change anything on this server; its operator can allow "
                    "them with --cors-origins, or with TAMPERSCOPE_CORS_ORIGINS."
                )

    def _answers_to(self, host: str) -> bool:
        if self._any_host:
            return True
        named = _HOST.fullmatch(host)
        if named is None:
            return False
        name = named[1].lower().rstrip(".")
        return name in self._hosts or name.endswith(self._domains) or _is_address(name.strip("[]"))

    def _may_write(self, site: str | None, origin: str | None, host: str | None) -> bool:
        if origin in self._pages:
            return True
        if site is not None:
            return site in ("same-origin", "none")
        # Browsers send the site only over TLS and to localhost. Programs send neither.
        return origin is None or origin.partition("://")[2] == host


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
