"""Finds a file's Content Credentials, and has the official library read them in a separate process."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tamperscope.errors import ImageError
from tamperscope.evidence._once import once_per_image
from tamperscope.evidence._pictures import data_uri
from tamperscope.evidence._quoting import quoted
from tamperscope.evidence.provenance.credentials import Credentials, State, read_store
from tamperscope.images import Image, ImageLimits, read_image

_STORE = b"c2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71"
"""The UUID that begins each manifest store, whatever the image format."""
_REFERENCE = re.compile(rb"dcterms:provenance\s*(?:=\s*[\"']|>)\s*(https?://[^\"'<>\s]{1,1000})")
_MIME_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
    "HEIF": "image/heic",
    "AVIF": "image/avif",
}
_SECONDS = 20
"""Time limit of the reader, long enough for a busy machine."""
_KEPT_VARIABLES = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
"""The reader must not receive the keys and tokens in the environment."""


@dataclass(frozen=True)
class TrustList:
    """The signers that the operator trusts."""

    name: str = ""
    """As reports call it; empty without a list."""
    anchors: str = ""
    """Certificates of authorities, PEM."""


NO_TRUST_LIST = TrustList()


@once_per_image
def read(image: Image, trust: TrustList = NO_TRUST_LIST) -> Credentials | None:
    """Return the Content Credentials of a file; None if it has none."""
    if image.format not in _MIME_TYPES:
        return None
    if _STORE in image.data:
        return _understood(image, trust)
    if reference := _REFERENCE.search(image.data):
        return Credentials(State.ELSEWHERE, place=_host(reference[1]))
    return None


def _understood(image: Image, trust: TrustList) -> Credentials:
    answer = _answer(image.data, _MIME_TYPES[image.format], trust.anchors)
    try:
        if "store" in answer:
            return read_store(answer["store"], trust.name, dict(_drawn(answer.get("pictures") or {})))
        prerelease = "prerelease" in str(answer.get("error"))
    except (AttributeError, KeyError, TypeError):  # the JSON comes from an untrusted file
        return Credentials(State.UNREADABLE)
    return Credentials(State.PRERELEASE if prerelease else State.UNREADABLE)


_PICTURE_LIMITS = ImageLimits(bytes=2**19, pixels=2_000_000, min_side=16)
_SHOWN_SIDE = 256
"""Longer side, in pixels, of an ingredient's preview in a report."""


def _drawn(pictures: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the identifier of each preview that can be decoded, and the data URI of its picture."""
    for identifier, encoded in pictures.items():
        try:
            pixels = read_image(base64.b64decode(encoded), _PICTURE_LIMITS).pixels
        except (ImageError, ValueError):
            continue
        yield identifier, data_uri(pixels, _SHOWN_SIDE)


def _answer(data: bytes, mime_type: str, anchors: str) -> dict[str, Any]:
    """Return the answer of the reader's process; an empty one if it fails."""
    script = Path(__file__).parents[1] / "_c2pa_reader.py"
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    trusted = anchors.encode()
    try:
        done = subprocess.run(  # noqa: S603 - nothing in the command comes from a file
            [sys.executable, "-P", str(script), mime_type],
            input=f"{len(trusted)}\n".encode() + trusted + data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=_SECONDS,
            check=True,
        )
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _host(address: bytes) -> str:
    try:
        return quoted(urlsplit(address.decode("ascii")).hostname)
    except ValueError:
        return ""
