from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fakes import FakeDetector
from tamperscope.server.app import create_app
from tamperscope.server.settings import Settings

Post = Callable[..., TestResponse]


@pytest.fixture
def client() -> FlaskClient:
    return create_app(Settings(), FakeDetector()).test_client()


@pytest.fixture
def post(client: FlaskClient) -> Post:
    """Send bytes as the form field `image`, as browsers and curl do."""

    def send(path: str, data: bytes, filename: str = "photo.jpg") -> TestResponse:
        return client.post(path, data={"image": (BytesIO(data), filename)})

    return send
