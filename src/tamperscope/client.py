"""A small client for a tamperscope server.

    client = Client("http://127.0.0.1:5000", key="tsk_...")
    answer = client.segment("photo.jpg", include=["mask"])
    answer.verdict, answer.manipulation_score
    Path("mask.png").write_bytes(answer.mask)

    job = client.submit(["a.jpg", "b.jpg"])
    for result in client.results(job.id):    # as they come, until the job has ended
        result.name, result.analysis or result.problem

A busy server (503) and one that asks to slow down (429) are asked again, when they say so.
"""

from __future__ import annotations

import random
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from pydantic import ValidationError

from tamperscope.api import (
    AnalysisAnswer,
    Answer,
    ClassifyAnswer,
    ImageResultAnswer,
    ImageResultsAnswer,
    JobAnswer,
    Problem,
    SegmentAnswer,
)
from tamperscope.errors import RefusedError, UnreachableError

Picture = Literal["mask", "overlay", "masked_image"]
_PICTURES: tuple[Picture, ...] = ("mask", "overlay", "masked_image")
_PASSING = (429, 503)
_USUAL_WAIT_SECONDS = 5.0

_Answer = TypeVar("_Answer", bound=Answer)


class Client:
    """Asks one server; any number of threads may share it.

    `timeout` is how many seconds one attempt may take, `attempts` how often at most a server is asked that
    says 429 or 503, and `longest_wait` the most seconds between two attempts. `sleep` waits that long.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 120.0,
        attempts: int = 5,
        longest_wait: float = 60.0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"{url!r} is not the address of a server, such as http://127.0.0.1:5000")
        self._url = url.rstrip("/")
        self._headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._timeout = timeout
        self._attempts = attempts
        self._longest_wait = longest_wait
        self._sleep = sleep

    def segment(
        self, image: bytes | str | PathLike[str], *, include: Collection[Picture] = _PICTURES
    ) -> SegmentAnswer:
        """Return where an image file (its bytes or its path) was manipulated, with the pictures included.

        Raises `RefusedError` when the server refuses, `UnreachableError` when none answers and `OSError`
        when the path cannot be read.
        """
        query = urlencode({"include": ",".join(include)})
        return self._ask(f"/segment?{query}", image, SegmentAnswer)

    def classify(self, image: bytes | str | PathLike[str]) -> ClassifyAnswer:
        """Return how an image file (its bytes or its path) was manipulated; raises as `segment` does."""
        return self._ask("/classify", image, ClassifyAnswer)

    def analyze(self, image: bytes | str | PathLike[str], *, keep: bool = False) -> AnalysisAnswer:
        """Return everything about an image file (its bytes or its path); the server stores it.

        `keep` lets it keep the image as well. Raises as `segment` does.
        """
        return self._ask(f"/v1/analyses?keep={str(keep).lower()}", image, AnalysisAnswer)

    def analysis(self, id: str) -> AnalysisAnswer:
        """Return a stored analysis; raises `RefusedError` (404) where there is none, else as `segment`."""
        return self._got(f"/v1/analyses/{quote(id, safe='')}", AnalysisAnswer)

    def submit(
        self,
        images: Iterable[bytes | str | PathLike[str]],
        *,
        keep: bool = False,
        webhook: str | None = None,
        webhook_secret: str | None = None,
        idempotency_key: str | None = None,
    ) -> JobAnswer:
        """Let the server analyse image files (their bytes or their paths) one after the other.

        `keep` lets it keep the images as well. `webhook` is a URL that is told when the job has ended, by a
        message that is signed with `webhook_secret`. Sent again with the same `idempotency_key`, a job is not
        made twice. Raises as `segment` does.
        """
        parts = [_image_part(image, number) for number, image in enumerate(images)]
        texts = {"webhook": webhook, "webhook_secret": webhook_secret}
        parts += [_Part(name, None, text.encode()) for name, text in texts.items() if text]
        return self._sent_form(
            f"/v1/jobs?keep={str(keep).lower()}",
            parts,
            JobAnswer,
            {"Idempotency-Key": idempotency_key} if idempotency_key else {},
        )

    def job(self, id: str) -> JobAnswer:
        """Return how far a job is; raises `RefusedError` (404) where there is none, else as `segment`."""
        return self._got(_job_path(id), JobAnswer)

    def results(self, id: str, *, poll: float = 1.0) -> Iterator[ImageResultAnswer]:
        """Give what becomes of a job's images, as it is known, until the job has ended.

        Asks every `poll` seconds while there is nothing new; raises as `job` does.
        """
        path: str | None = f"{_job_path(id)}/results?limit=100"
        while path:
            page = self._got(path, ImageResultsAnswer)
            yield from page.results
            path = page.next
            if path and not page.results:
                self._sleep(poll)

    def cancel(self, id: str) -> JobAnswer:
        """Let the server analyse no further image of a job; raises as `job` does."""
        request = urllib.request.Request(  # noqa: S310 (the scheme was checked)
            f"{self._url}{_job_path(id)}/cancel", b"", self._headers
        )
        return _parsed(self._sent(request), JobAnswer)

    def _ask(self, path: str, image: bytes | str | PathLike[str], answer: type[_Answer]) -> _Answer:
        return self._sent_form(path, [_image_part(image, 0)], answer)

    def _sent_form(
        self,
        path: str,
        parts: Collection[_Part],
        answer: type[_Answer],
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> _Answer:
        body, content_type = _form(parts)
        request = urllib.request.Request(  # noqa: S310 (the scheme was checked)
            self._url + path, body, {**self._headers, **headers, "Content-Type": content_type}
        )
        return _parsed(self._sent(request), answer)

    def _got(self, path: str, answer: type[_Answer]) -> _Answer:
        request = urllib.request.Request(self._url + path, headers=self._headers)  # noqa: S310 (checked)
        return _parsed(self._sent(request), answer)

    def _sent(self, request: urllib.request.Request) -> bytes:
        for attempt in range(1, self._attempts + 1):
            try:
                with urllib.request.urlopen(request, timeout=self._timeout) as response:  # noqa: S310
                    content: bytes = response.read()
                    return content
            except urllib.error.HTTPError as error:
                with error:
                    detail = _detail(error)
                    wait = _wait(error)
                if error.code not in _PASSING or attempt == self._attempts or wait > self._longest_wait:
                    raise RefusedError(error.code, detail) from None
                # Spread out, or all who were refused together would come back together.
                self._sleep(wait + random.uniform(0, 1 + wait / 4))  # noqa: S311
            except (OSError, HTTPException) as error:
                reason = getattr(error, "reason", None) or error
                raise UnreachableError(f"No server answers at {self._url}: {reason}.") from None
        raise ValueError("a client needs at least one attempt")


@dataclass(frozen=True)
class _Part:
    """One field of a form."""

    name: str
    filename: str | None
    data: bytes


def _image_part(image: bytes | str | PathLike[str], number: int) -> _Part:
    if isinstance(image, bytes):
        return _Part("image", str(number), image)
    return _Part("image", Path(image).name, Path(image).read_bytes())


def _form(parts: Collection[_Part]) -> tuple[bytes, str]:
    boundary = uuid.uuid4().hex
    pieces: list[bytes] = []
    for part in parts:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{part.name}"'
        if part.filename is not None:
            # As browsers do; a file's name may hold anything.
            harmless = part.filename.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
            head += f'; filename="{harmless}"'
        pieces += [f"{head}\r\n\r\n".encode(errors="replace"), part.data, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces), f"multipart/form-data; boundary={boundary}"


def _job_path(id: str) -> str:
    return f"/v1/jobs/{quote(id, safe='')}"


def _parsed(content: bytes, answer: type[_Answer]) -> _Answer:
    try:
        return answer.model_validate_json(content)
    except ValidationError:
        raise UnreachableError("What answers there is no tamperscope server, or a much older one.") from None


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        return Problem.model_validate_json(error.read()).detail
    except ValidationError:
        return f"The server answered {error.code} {error.reason}."


def _wait(error: urllib.error.HTTPError) -> float:
    given = error.headers.get("Retry-After", "")
    return float(given) if given.isdigit() else _USUAL_WAIT_SECONDS
