"""Operations on a running server, for callers with an administrator's key."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict

from flask import Blueprint, Response
from werkzeug.exceptions import Conflict

from tamperscope.api import BundleFacts, Ready
from tamperscope.errors import TamperscopeError
from tamperscope.report import BundleIdentity
from tamperscope.server.forms import respond
from tamperscope.server.middleware.access import administrative
from tamperscope.server.openapi import operation

_log = logging.getLogger(__name__)


def blueprint(reload: Callable[[], BundleIdentity]) -> Blueprint:
    """Return the endpoint that calls `reload`."""
    admin = Blueprint("admin", __name__)

    @admin.post("/admin/reload")
    @operation(Ready, problems=[409])
    @administrative
    def reload_bundle() -> Response:
        """Reload the bundle and the keys without dropping a request. Needs an administrator's key."""
        try:
            identity = reload()
        except TamperscopeError as error:
            # The message names folders of this machine, which may appear only in the log.
            _log.error("reload failed, nothing was changed: %s", error)
            raise Conflict(
                "The new bundle or keys cannot be used; see the server's log. It keeps the old ones."
            ) from None
        return respond(Ready(bundle=BundleFacts(**asdict(identity))))

    return admin
