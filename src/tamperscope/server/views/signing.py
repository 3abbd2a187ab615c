"""`/v1/keys/signing`: the public key that signs this server's reports."""

from __future__ import annotations

from flask import Blueprint, Response

from tamperscope.api import SigningKeysAnswer
from tamperscope.documents.signatures import SigningKey
from tamperscope.server.forms import respond
from tamperscope.server.middleware.access import public
from tamperscope.server.openapi import operation


def blueprint(key: SigningKey | None) -> Blueprint:
    """Return the endpoint that answers the public half of `key`; None if reports are not signed."""
    views = Blueprint("signing", __name__)

    @views.get("/v1/keys/signing")
    @operation(SigningKeysAnswer)
    @public
    def list_signing_keys() -> Response:
        """Return the keys that sign this server's reports, as a JSON Web Key Set."""
        keys = [key.public.to_json()] if key else []
        return respond(SigningKeysAnswer.model_validate({"keys": keys}))

    return views
