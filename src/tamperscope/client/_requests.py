"""What both clients share: the requests of the API, and what to do with a response."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
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
    Case,
    ClassifyAnswer,
    CompareAnswer,
    Feedback,
    HistoryAnswer,
    ImageResultsAnswer,
    JobAnswer,
    Problem,
    SegmentAnswer,
)
from tamperscope.errors import RefusedError, UnreachableError
from tamperscope.feedback import CorrectedAnalysis

Picture = Literal["mask", "overlay", "masked_image"]
Image = bytes | str | PathLike[str]
"""The content of an image file, or its path."""

PICTURES: tuple[Picture, ...] = ("mask", "overlay", "masked_image")
PASSING = (429, 503)
_USUAL_WAIT_SECONDS = 5.0

AnAnswer = TypeVar("AnAnswer")


@dataclass(frozen=True)
class Request(Generic[AnAnswer]):
    """One request, which may be sent several times."""

    method: str
    path: str
    read: Callable[[bytes], AnAnswer]
    """Returns the answer in a body; raises `ValueError`, `KeyError` or `TypeError` if there is none."""
    images: tuple[tuple[str, Image], ...] = ()
    """Fields of the form, with the image to send in each."""
    fields: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    """A JSON object to send instead of a form."""

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of httpx for one attempt. Raises `OSError` when a path cannot be read."""
        if self.body is not None:
            headers = {**self.headers, "Content-Type": "application/json"}
            return {"method": self.method, "url": self.path, "headers": headers, "content": self.body}
        files = [(name, _part(image, number)) for number, (name, image) in enumerate(self.images)]
        return {
            "method": self.method,
            "url": self.path,
            "headers": dict(self.headers),
            "data": dict(self.fields) or None,
            "files": files or None,
        }


def segment(image: Image, include: Collection[Picture]) -> Request[SegmentAnswer]:
    """Return the request of `Client.segment`; so do the functions below for the other methods."""
    path = f"/segment?{urlencode({'include': ','.join(include)})}"
    return Request("POST", path, SegmentAnswer.model_validate_json, (("image", image),))


def classify(image: Image) -> Request[ClassifyAnswer]:
    """See `segment`."""
    return Request("POST", "/classify", ClassifyAnswer.model_validate_json, (("image", image),))


def analyze(image: Image, keep: bool, private: bool) -> Request[AnalysisAnswer]:
    """See `segment`."""
    flags = urlencode({"keep": str(keep).lower(), "private": str(private).lower()})
    return Request("POST", f"/v1/analyses?{flags}", AnalysisAnswer.model_validate_json, (("image", image),))


def analysis(id: str) -> Request[AnalysisAnswer]:
    """See `segment`."""
    return Request("GET", _analysis_path(id), AnalysisAnswer.model_validate_json)


def analyses(search: str, verdict: str | None, tag: str) -> Request[HistoryAnswer]:
    """See `segment`."""
    asked = {"limit": "100", "search": search, "tag": tag} | ({"verdict": verdict} if verdict else {})
    return Request("GET", f"/v1/analyses?{urlencode(asked)}", HistoryAnswer.model_validate_json)


def analyses_at(path: str) -> Request[HistoryAnswer]:
    """Return the request of a further page."""
    return Request("GET", path, HistoryAnswer.model_validate_json)


def describe(id: str, case: Case) -> Request[Case]:
    """See `segment`."""
    path = f"{_analysis_path(id)}/case"
    return Request("PUT", path, Case.model_validate_json, body=case.model_dump_json())


def correct(id: str, feedback: Feedback) -> Request[Feedback]:
    """See `segment`."""
    path = f"{_analysis_path(id)}/feedback"
    return Request("PUT", path, Feedback.model_validate_json, body=feedback.model_dump_json())


def take_back(id: str) -> Request[None]:
    """See `segment`."""
    return Request("DELETE", f"{_analysis_path(id)}/feedback", lambda _: None)


def corrections() -> Request[tuple[CorrectedAnalysis, ...]]:
    """See `segment`."""
    return Request("GET", "/v1/feedback", _corrections)


def compare(image: Image, other: Image) -> Request[CompareAnswer]:
    """See `segment`."""
    pictures = (("image", image), ("other", other))
    return Request("POST", "/v1/compare", CompareAnswer.model_validate_json, pictures)


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
        JobAnswer.model_validate_json,
        tuple(("image", image) for image in images),
        {name: text for name, text in fields.items() if text},
        {"Idempotency-Key": idempotency_key} if idempotency_key else {},
    )


def job(id: str) -> Request[JobAnswer]:
    """See `segment`."""
    return Request("GET", _job_path(id), JobAnswer.model_validate_json)


def first_results(id: str) -> Request[ImageResultsAnswer]:
    """See `segment`. The path of the next page is in the answer."""
    return results_at(f"{_job_path(id)}/results?limit=100")


def results_at(path: str) -> Request[ImageResultsAnswer]:
    """Return the request of a further page."""
    return Request("GET", path, ImageResultsAnswer.model_validate_json)


def cancel(id: str) -> Request[JobAnswer]:
    """See `segment`."""
    return Request("POST", f"{_job_path(id)}/cancel", JobAnswer.model_validate_json)


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


def parsed(response: httpx2.Response, read: Callable[[bytes], AnAnswer]) -> AnAnswer:
    """Return the answer in a response; raises `UnreachableError` when it is none of ours."""
    try:
        return read(response.content)
    except (ValueError, KeyError, TypeError):
        raise UnreachableError(
            "The answer is not from a tamperscope server, or from a much older version."
        ) from None


def _detail(response: httpx2.Response) -> str:
    try:
        return Problem.model_validate_json(response.content).detail
    except ValidationError:
        return f"The server answered {response.status_code} {response.reason_phrase}."


def _corrections(lines: bytes) -> tuple[CorrectedAnalysis, ...]:
    return tuple(CorrectedAnalysis.from_json(json.loads(line)) for line in lines.splitlines())


def _analysis_path(id: str) -> str:
    return f"/v1/analyses/{quote(id, safe='')}"


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
