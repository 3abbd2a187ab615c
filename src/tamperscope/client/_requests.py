"""What both clients share: the requests of the API, and what to do with a response."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import SEEK_END
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Generic, Literal, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx2
from pydantic import ValidationError

from tamperscope.api import (
    AnalysisAnswer,
    Answer,
    Case,
    ClassifyAnswer,
    HistoryAnswer,
    ImageResultsAnswer,
    JobAnswer,
    Problem,
    SegmentAnswer,
)
from tamperscope.errors import RefusedError, UnreachableError

Picture = Literal["mask", "overlay", "masked_image"]
Image = bytes | str | PathLike[str]
"""The content of an image file, or its path."""

PICTURES: tuple[Picture, ...] = ("mask", "overlay", "masked_image")
PASSING = (429, 503)
_USUAL_WAIT_SECONDS = 5.0

AnAnswer = TypeVar("AnAnswer", bound=Answer)


@dataclass(frozen=True)
class Request(Generic[AnAnswer]):
    """One request, which may be sent several times."""

    method: str
    path: str
    answer: type[AnAnswer]
    images: tuple[Image, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    """A JSON object to send instead of a form."""

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of httpx for one attempt. Raises `OSError` when a path cannot be read."""
        if self.body is not None:
            json = {**self.headers, "Content-Type": "application/json"}
            return {"method": self.method, "url": self.path, "headers": json, "content": self.body}
        files = [("image", _part(image, number)) for number, image in enumerate(self.images)]
        return {
            "method": self.method,
            "url": self.path,
            "headers": dict(self.headers),
            "data": dict(self.fields) or None,
            "files": files or None,
        }


def segment(image: Image, include: Collection[Picture]) -> Request[SegmentAnswer]:
    """Return the request of `Client.segment`; so do the functions below for the other methods."""
    return Request("POST", f"/segment?{urlencode({'include': ','.join(include)})}", SegmentAnswer, (image,))


def classify(image: Image) -> Request[ClassifyAnswer]:
    """See `segment`."""
    return Request("POST", "/classify", ClassifyAnswer, (image,))


def analyze(image: Image, keep: bool, private: bool) -> Request[AnalysisAnswer]:
    """See `segment`."""
    flags = urlencode({"keep": str(keep).lower(), "private": str(private).lower()})
    return Request("POST", f"/v1/analyses?{flags}", AnalysisAnswer, (image,))


def analysis(id: str) -> Request[AnalysisAnswer]:
    """See `segment`."""
    return Request("GET", f"/v1/analyses/{quote(id, safe='')}", AnalysisAnswer)


def analyses(search: str, verdict: str | None, tag: str) -> Request[HistoryAnswer]:
    """See `segment`."""
    asked = {"limit": "100", "search": search, "tag": tag} | ({"verdict": verdict} if verdict else {})
    return Request("GET", f"/v1/analyses?{urlencode(asked)}", HistoryAnswer)


def analyses_at(path: str) -> Request[HistoryAnswer]:
    """Return the request of a further page."""
    return Request("GET", path, HistoryAnswer)


def describe(id: str, case: Case) -> Request[Case]:
    """See `segment`."""
    return Request("PUT", f"/v1/analyses/{quote(id, safe='')}/case", Case, body=case.model_dump_json())


def submit(
    images: Iterable[Image],
    keep: bool,
    webhook: str | None,
    webhook_secret: str | None,
    idempotency_key: str | None,
) -> Request[JobAnswer]:
    """See `segment`."""
    fields = {"webhook": webhook, "webhook_secret": webhook_secret}
    return Request(
        "POST",
        f"/v1/jobs?keep={str(keep).lower()}",
        JobAnswer,
        tuple(images),
        {name: text for name, text in fields.items() if text},
        {"Idempotency-Key": idempotency_key} if idempotency_key else {},
    )


def job(id: str) -> Request[JobAnswer]:
    """See `segment`."""
    return Request("GET", _job_path(id), JobAnswer)


def first_results(id: str) -> Request[ImageResultsAnswer]:
    """See `segment`. The path of the next page is in the answer."""
    return results_at(f"{_job_path(id)}/results?limit=100")


def results_at(path: str) -> Request[ImageResultsAnswer]:
    """Return the request of a further page."""
    return Request("GET", path, ImageResultsAnswer)


def cancel(id: str) -> Request[JobAnswer]:
    """See `segment`."""
    return Request("POST", f"{_job_path(id)}/cancel", JobAnswer)


@dataclass(frozen=True)
class Server:
    """The server of a client, and how much the client puts up with."""

    url: str
    timeout: float
    attempts: int
    longest_wait: float

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise ValueError(f"{self.url!r} is not the address of a server, such as http://127.0.0.1:5000")
        if self.attempts < 1:
            raise ValueError("a client needs at least one attempt")

    def options(self, key: str | None) -> dict[str, Any]:
        """Return the options of a client of httpx."""
        return {
            "base_url": self.url.rstrip("/"),
            "headers": {"Accept": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            "timeout": self.timeout,
            "follow_redirects": True,
        }

    def attempt_numbers(self) -> range:
        """Return the numbers of the attempts, from 1."""
        return range(1, self.attempts + 1)

    def wait(self, response: httpx2.Response, attempt: int) -> float:
        """Return the seconds to wait before the next attempt; raises `RefusedError` when there is none."""
        given = response.headers.get("Retry-After", "")
        wait = float(given) if given.isdigit() else _USUAL_WAIT_SECONDS
        if response.status_code not in PASSING or attempt == self.attempts or wait > self.longest_wait:
            raise RefusedError(response.status_code, _detail(response)) from None
        # Random, so that clients refused at the same moment do not all return at the same moment.
        return wait + random.uniform(0, 1 + wait / 4)  # noqa: S311

    def unreachable(self, error: httpx2.HTTPError) -> UnreachableError:
        """Return the error for a request that got no response."""
        reason = str(error) or type(error).__name__
        return UnreachableError(f"No server answers at {self.url.rstrip('/')}: {reason}.")


def parsed(response: httpx2.Response, answer: type[AnAnswer]) -> AnAnswer:
    """Return the answer in a response; raises `UnreachableError` when it is none of ours."""
    try:
        return answer.model_validate_json(response.content)
    except ValidationError:
        raise UnreachableError(
            "The answer is not from a tamperscope server, or from a much older version."
        ) from None


def _detail(response: httpx2.Response) -> str:
    try:
        return Problem.model_validate_json(response.content).detail
    except ValidationError:
        return f"The server answered {response.status_code} {response.reason_phrase}."


def _job_path(id: str) -> str:
    return f"/v1/jobs/{quote(id, safe='')}"


def _part(image: Image, number: int) -> tuple[str, bytes | BinaryIO]:
    if isinstance(image, bytes):
        return str(number), image
    # A name on disk is bytes, and need not be UTF-8.
    return Path(image).name.encode(errors="replace").decode(), _File(Path(image))  # type: ignore[return-value]


class _File:
    """A file that is opened when it is sent, and closed after: a job can have more files than may be open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = path.stat().st_size
        self._content: Iterator[bytes] | None = None

    def seek(self, _: int, whence: int = 0) -> int:
        self._content = None
        return self._size if whence == SEEK_END else 0

    def tell(self) -> int:
        return 0

    def read(self, size: int) -> bytes:
        if self._content is None:
            self._content = self._blocks(size)
        return next(self._content, b"")

    def _blocks(self, size: int) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while block := file.read(size):
                yield block
