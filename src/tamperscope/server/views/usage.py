"""`/v1/usage`: what the caller's stored analyses take, and how much they may."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response

from tamperscope.api import UsageAnswer
from tamperscope.server.forms import respond
from tamperscope.server.middleware.access import owner
from tamperscope.server.openapi import operation
from tamperscope.store import AnalysisStore


def blueprint(store: AnalysisStore) -> Blueprint:
    """Return the endpoint that reports the use of `store`."""
    views = Blueprint("usage", __name__)

    @views.get("/v1/usage")
    @operation(UsageAnswer, problems=(503,))
    def get_usage() -> Response:
        """Return how many bytes the caller's stored analyses take, and how many they may."""
        return respond(UsageAnswer(**asdict(store.usage(owner=owner())), max_bytes=store.quota))

    return views
