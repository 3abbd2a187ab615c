"""A small client for a tamperscope server.

    client = Client("http://127.0.0.1:5000", key="tsk_...")
    answer = client.segment("photo.jpg", include=["mask"])
    answer.verdict, answer.manipulation_score
    Path("mask.png").write_bytes(answer.mask)

    job = client.submit(["a.jpg", "b.jpg"])
    for result in client.results(job.id):    # as they arrive, until the job has ended
        result.name, result.analysis or result.problem

When the server is busy (503) or limits the rate (429), the client repeats the request after the delay that
the server asks for.
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
    """A client for one server. Any number of threads may share it.

    It sends a request again when the server answers 429 or 503. It waits as long as the `Retry-After` header
    says, or 5 seconds without one, plus a random share so that clients do not return all at once.

    Args:
        url: Address of the server, such as `http://127.0.0.1:5000`.
        key: API key, for a server that requires one.
        timeout: Seconds that the server may stay silent before an attempt fails.
        attempts: Most attempts for one request, at least 1.
        longest_wait: Longest delay in seconds that the client accepts. If the server asks for more, the
            client gives up at once.
        sleep: Called with the number of seconds to wait.

    Raises:
        ValueError: `url` is not an http or https address.

    Example:
        client = Client("http://127.0.0.1:5000", key="tsk_...")
        answer = client.classify("photo.jpg")
        print(answer.verdict, answer.class_name)
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
        """Return where an image was manipulated.

        Args:
            image: The content of an image file, or its path.
            include: The pictures to return: any of `mask`, `overlay` and `masked_image`.

        Returns:
            The verdict, the score and the requested pictures as PNG files. Other pictures are None.

        Raises:
            RefusedError: The server refused the request, or was too busy to accept it.
            UnreachableError: No server answers at the address, or it is not a tamperscope server.
            OSError: The path cannot be read.

        Example:
            answer = client.segment("photo.jpg", include=["mask"])
            Path("mask.png").write_bytes(answer.mask)
        """
        query = urlencode({"include": ",".join(include)})
        return self._ask(f"/segment?{query}", image, SegmentAnswer)

    def classify(self, image: bytes | str | PathLike[str]) -> ClassifyAnswer:
        """Return how an image was manipulated.

        Args:
            image: The content of an image file, or its path.

        Returns:
            The most probable manipulation type, the probability of each type, the verdict and the score.

        Raises:
            RefusedError: The server refused the request, or was too busy to accept it.
            UnreachableError: No server answers at the address, or it is not a tamperscope server.
            OSError: The path cannot be read.

        Example:
            answer = client.classify("photo.jpg")
            answer.verdict, answer.class_name
        """
        return self._ask("/classify", image, ClassifyAnswer)

    def analyze(self, image: bytes | str | PathLike[str], *, keep: bool = False) -> AnalysisAnswer:
        """Return the full analysis of an image. The server stores the analysis.

        Args:
            image: The content of an image file, or its path.
            keep: Whether the server also stores the image.

        Returns:
            The analysis, with its regions, its evidence and the addresses of its pictures and reports.

        Raises:
            RefusedError: The server refused the request, or was too busy to accept it.
            UnreachableError: No server answers at the address, or it is not a tamperscope server.
            OSError: The path cannot be read.

        Example:
            answer = client.analyze("photo.jpg", keep=True)
            answer.verdict, answer.links.report_pdf
        """
        return self._ask(f"/v1/analyses?keep={str(keep).lower()}", image, AnalysisAnswer)

    def analysis(self, id: str) -> AnalysisAnswer:
        """Return a stored analysis.

        Args:
            id: The `id` of an analysis.

        Returns:
            The analysis, as `analyze` returned it.

        Raises:
            RefusedError: There is no such analysis (404), or the server refused the request.
            UnreachableError: No server answers at the address, or it is not a tamperscope server.

        Example:
            client.analysis(answer.id).verdict
        """
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
        """Submit images as one job, which the server analyses in the background.

        Args:
            images: The contents of image files, or their paths.
            keep: Whether the server also stores the images.
            webhook: URL that the server calls when the job has ended.
            webhook_secret: Secret that signs the webhook's message.
            idempotency_key: Key of this request. The same request sent again with this key returns the first
                job and does not create another one.

        Returns:
            The job. `results` yields its results.

        Raises:
            RefusedError: The server refused the request, or was too busy to accept it.
            UnreachableError: No server answers at the address, or it is not a tamperscope server.
            OSError: A path cannot be read.

        Example:
            job = client.submit(["a.jpg", "b.jpg"], idempotency_key="upload-17")
            for result in client.results(job.id):
                print(result.name, result.analysis or result.problem)
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
        """Return the state of a job.

        Args:
            id: The `id` of a job.

        Returns:
            The job, with its state and its progress.

        Raises:
            RefusedError: There is no such job (404), or the server refused the request.
            UnreachableError: No server answers at the address, or it is not a tamperscope server.

        Example:
            client.job(job.id).state
        """
        return self._got(_job_path(id), JobAnswer)

    def results(self, id: str, *, poll: float = 1.0) -> Iterator[ImageResultAnswer]:
        """Yield the results of a job's images as they arrive, until the job has ended.

        Args:
            id: The `id` of a job.
            poll: Seconds between two requests while there are no new results.

        Yields:
            The result of each finished image: its analysis, or the problem that prevented one.

        Raises:
            RefusedError: There is no such job (404), or the server refused the request.
            UnreachableError: No server answers at the address, or it is not a tamperscope server.

        Example:
            for result in client.results(job.id):
                print(result.name, result.analysis or result.problem)
        """
        path: str | None = f"{_job_path(id)}/results?limit=100"
        while path:
            page = self._got(path, ImageResultsAnswer)
            yield from page.results
            path = page.next
            if path and not page.results:
                self._sleep(poll)

    def cancel(self, id: str) -> JobAnswer:
        """Cancel a job: the server starts no further images of it.

        Args:
            id: The `id` of a job.

        Returns:
            The job. A job that had already ended is unchanged.

        Raises:
            RefusedError: There is no such job (404), or the server refused the request.
            UnreachableError: No server answers at the address, or it is not a tamperscope server.

        Example:
            client.cancel(job.id).state
        """
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
                # Random, so that clients refused at the same moment do not all return at the same moment.
                self._sleep(wait + random.uniform(0, 1 + wait / 4))  # noqa: S311
            except (OSError, HTTPException) as error:
                reason = getattr(error, "reason", None) or error
                raise UnreachableError(f"No server answers at {self._url}: {reason}.") from None
        raise ValueError("a client needs at least one attempt")


@dataclass(frozen=True)
class _Part:
    """One field of a multipart form."""

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
            # Escaped as browsers do: a file name may contain any character.
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
        raise UnreachableError(
            "The answer is not from a tamperscope server, or from a much older version."
        ) from None


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        return Problem.model_validate_json(error.read()).detail
    except ValidationError:
        return f"The server answered {error.code} {error.reason}."


def _wait(error: urllib.error.HTTPError) -> float:
    given = error.headers.get("Retry-After", "")
    return float(given) if given.isdigit() else _USUAL_WAIT_SECONDS
