"""What an operator may do to a running server, with an administrator's key."""

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
        """Read the bundle and the keys anew, without dropping a request; needs an administrator's key."""
        try:
            identity = reload()
        except TamperscopeError as error:
            # Its sentence names folders of this machine, which only the log may.
            _log.error("The reload failed, and everything stays as it was: %s", error)
            raise Conflict(
                "What is there now cannot be used, and the server goes on with what it had; its log says why."
            ) from None
        return respond(Ready(bundle=BundleFacts(**asdict(identity))))

    return admin
