from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import PIL.Image
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import samples
from fakes import fake_app, fresh_store
from tamperscope.store import AnalysisStore


@pytest.fixture
def photo() -> PIL.Image.Image:
    return PIL.Image.fromarray(samples.photo(96, 64))


@pytest.fixture
def photo_png(photo: PIL.Image.Image) -> bytes:
    return samples.encode(photo, "PNG")


@pytest.fixture
def store() -> AnalysisStore:
    return fresh_store()


Post = Callable[..., TestResponse]


@pytest.fixture
def client() -> FlaskClient:
    return fake_app().test_client()


@pytest.fixture
def post(client: FlaskClient) -> Post:
    """Send bytes as the form field `image`, as browsers and curl do."""

    def send(path: str, data: bytes, filename: str = "photo.jpg") -> TestResponse:
        return client.post(path, data={"image": (BytesIO(data), filename)})

    return send
