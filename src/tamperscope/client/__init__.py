"""A small client for a tamperscope server.

    with Client("http://127.0.0.1:5000", key="tsk_...") as client:
        answer = client.segment("photo.jpg", include=["mask"])
        answer.verdict, answer.manipulation_score
        Path("mask.png").write_bytes(answer.mask)

        job = client.submit(["a.jpg", "b.jpg"])
        for result in client.results(job.id):    # as they arrive, until the job has ended
            result.name, result.analysis or result.problem

`AsyncClient` has the same methods for asyncio. Files are sent from disk, without being read into memory. When
the server is busy (503) or limits the rate (429), a client repeats the request after the delay that the
server asks for.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator
from typing import Self

import httpx2

from tamperscope.api import (
    AnalysisAnswer,
    Case,
    ClassifyAnswer,
    CompareAnswer,
    Feedback,
    HistoryAnswer,
    ImageResultAnswer,
    ImageResultsAnswer,
    JobAnswer,
    SegmentAnswer,
    SummaryAnswer,
)
from tamperscope.client import _requests
from tamperscope.client._requests import PICTURES, AnAnswer, Image, Picture, Request, Server
from tamperscope.errors import RefusedError, UnreachableError
from tamperscope.feedback import CorrectedAnalysis
from tamperscope.report import Verdict

__all__ = [
    "AsyncClient",
    "Case",
    "Client",
    "Feedback",
    "Image",
    "Picture",
    "RefusedError",
    "UnreachableError",
]


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
        self._server = Server(url, timeout, attempts, longest_wait)
        self._http = httpx2.Client(**self._server.options(key))
        # For a client that is used without `with` and dropped.
        weakref.finalize(self, self._http.close)
        self._sleep = sleep

    def close(self) -> None:
        """Close the connections to the server. `with` does so too."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def segment(self, image: Image, *, include: Collection[Picture] = PICTURES) -> SegmentAnswer:
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
        return self._send(_requests.segment(image, include))

    def classify(self, image: Image) -> ClassifyAnswer:
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
        return self._send(_requests.classify(image))

    def analyze(self, image: Image, *, keep: bool = False, private: bool = False) -> AnalysisAnswer:
        """Return the full analysis of an image. The server stores the analysis.

        Args:
            image: The content of an image file, or its path.
            keep: Whether the server also stores the image.
            private: Whether no list contains the analysis, and the server deletes it after a day.

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
        return self._send(_requests.analyze(image, keep, private))

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
        return self._send(_requests.analysis(id))

    def analyses(
        self, *, search: str = "", verdict: Verdict | None = None, tag: str = ""
    ) -> Iterator[SummaryAnswer]:
        """Yield the stored analyses, newest first; private ones are left out.

        Args:
            search: Words that must all be in what people added, or begin the image's SHA-256.
            verdict: Only analyses with this verdict.
            tag: Only analyses with this tag.

        Raises:
            RefusedError: The server refused the request, or was too busy to accept it.
            UnreachableError: No server answers at the address, or it is not a tamperscope server.

        Example:
            [found.id for found in client.analyses(search="case 7", verdict="manipulated")]
        """
        request: Request[HistoryAnswer] | None = _requests.analyses(search, verdict, tag)
        while request:
            page = self._send(request)
            yield from page.analyses
            request = _requests.analyses_at(page.next) if page.next else None

    def describe(self, id: str, case: Case) -> Case:
        """Replace title, case number, analyst, notes and tags of a stored analysis.

        Args:
            id: The `id` of an analysis.
            case: What a person adds; `tamperscope.api.Case`.

        Returns:
            What is stored now.

        Raises:
            RefusedError: There is no such analysis (404), or the server refused the request.
            UnreachableError: No server answers at the address, or it is not a tamperscope server.

        Example:
            client.describe(answer.id, Case(title="The flood", number="7", tags=["flood"]))
        """
        return self._send(_requests.describe(id, case))

    def correct(self, id: str, feedback: Feedback) -> Feedback:
        """Say what the image of a stored analysis really is. It replaces what was said before.

        Args:
            id: The `id` of an analysis.
            feedback: The truth; `tamperscope.api.Feedback`. An authentic image has neither type nor region.

        Returns:
            What is stored now.

        Raises:
            RefusedError: There is no such analysis (404), or the server refused the request.
            UnreachableError: No server answers at the address, or it is not a tamperscope server.

        Example:
            client.correct(answer.id, Feedback(truth="manipulated", type="splicing"))
        """
        return self._send(_requests.correct(id, feedback))

    def take_back(self, id: str) -> None:
        """Take back what `correct` said of a stored analysis.

        Args:
            id: The `id` of an analysis.

        Raises:
            RefusedError: There is no such analysis (404), or the server refused the request.
            UnreachableError: No server answers at the address, or it is not a tamperscope server.

        Example:
            client.take_back(answer.id)
        """
        self._send(_requests.take_back(id))

    def corrections(self) -> tuple[CorrectedAnalysis, ...]:
        """Return what was said of the stored analyses, for `tamperscope calibrate --feedback`.

        Returns:
            The corrections, with what each corrected score was computed from.

        Raises:
            RefusedError: The server refused the request, or was too busy to accept it.
            UnreachableError: No server answers at the address, or it is not a tamperscope server.

        Example:
            lines = [json.dumps(corrected.to_json()) for corrected in client.corrections()]
            Path("feedback.jsonl").write_text("\\n".join(lines))
        """
        return self._send(_requests.corrections())

    def compare(self, image: Image, other: Image) -> CompareAnswer:
        """Lay one picture over another version of it, and return where they differ. Nothing is stored.

        Args:
            image: The content of an image file, or its path. Results are in its pixels.
            other: The other version: cropped, scaled, turned or mirrored, but of the same scene.

        Returns:
            How `other` lies over `image`, and the regions in which they differ, the largest first.

        Raises:
            RefusedError: The server refused the request, or was too busy to accept it.
            UnreachableError: No server answers at the address, or it is not a tamperscope server.
            OSError: A path cannot be read.

        Example:
            answer = client.compare("original.jpg", "published.jpg")
            print(answer.finding, [region.polygon for region in answer.differences])
        """
        return self._send(_requests.compare(image, other))

    def submit(
        self,
        images: Iterable[Image],
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
        return self._send(_requests.submit(images, keep, webhook, webhook_secret, idempotency_key))

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
        return self._send(_requests.job(id))

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
        request: Request[ImageResultsAnswer] | None = _requests.first_results(id)
        while request:
            page = self._send(request)
            yield from page.results
            request = _requests.results_at(page.next) if page.next else None
            if request and not page.results:
                self._sleep(poll)

    def progress(self, id: str, *, poll: float = 1.0) -> Iterator[JobAnswer]:
        """Yield a job now, and each time that its state or its number of finished images changes, to its end.

        Args:
            id: The `id` of a job.
            poll: Seconds between two requests.

        Yields:
            The job; the last one has ended.

        Raises:
            RefusedError: There is no such job (404), or the server refused the request.
            UnreachableError: No server answers at the address, or it is not a tamperscope server.

        Example:
            for job in client.progress(job.id):
                print(job.images.done, "of", job.images.total)
        """
        shown: JobAnswer | None = None
        while shown is None or shown.finished is None:
            if shown is not None:
                self._sleep(poll)
            job = self.job(id)
            if job != shown:
                yield job
            shown = job

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
        return self._send(_requests.cancel(id))

    def _send(self, request: Request[AnAnswer]) -> AnAnswer:
        for attempt in self._server.attempt_numbers():
            try:
                response = self._http.request(**request.arguments())
            except httpx2.HTTPError as error:
                raise self._server.unreachable(error) from None
            if response.is_success:
                return _requests.parsed(response, request.read)
            self._sleep(self._server.wait(response, attempt))
        raise AssertionError("the last attempt returns or raises")


class AsyncClient:
    """A client for one server, for asyncio. Any number of tasks may share it.

    Its methods take, return and raise what those of `Client` do, and are awaited; `results` and `progress`
    are asynchronous iterators.

    Example:
        async with AsyncClient("http://127.0.0.1:5000") as client:
            answers = await asyncio.gather(*(client.classify(path) for path in paths))
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 120.0,
        attempts: int = 5,
        longest_wait: float = 60.0,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._server = Server(url, timeout, attempts, longest_wait)
        self._http = httpx2.AsyncClient(**self._server.options(key))
        self._sleep = sleep

    async def aclose(self) -> None:
        """Close the connections to the server. `async with` does so too."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def segment(self, image: Image, *, include: Collection[Picture] = PICTURES) -> SegmentAnswer:
        """Return where an image was manipulated; see `Client.segment`."""
        return await self._send(_requests.segment(image, include))

    async def classify(self, image: Image) -> ClassifyAnswer:
        """Return how an image was manipulated; see `Client.classify`."""
        return await self._send(_requests.classify(image))

    async def analyze(self, image: Image, *, keep: bool = False, private: bool = False) -> AnalysisAnswer:
        """Return the full analysis of an image; see `Client.analyze`."""
        return await self._send(_requests.analyze(image, keep, private))

    async def analysis(self, id: str) -> AnalysisAnswer:
        """Return a stored analysis; see `Client.analysis`."""
        return await self._send(_requests.analysis(id))

    async def analyses(
        self, *, search: str = "", verdict: Verdict | None = None, tag: str = ""
    ) -> AsyncIterator[SummaryAnswer]:
        """Yield the stored analyses, newest first; see `Client.analyses`."""
        request: Request[HistoryAnswer] | None = _requests.analyses(search, verdict, tag)
        while request:
            page = await self._send(request)
            for found in page.analyses:
                yield found
            request = _requests.analyses_at(page.next) if page.next else None

    async def describe(self, id: str, case: Case) -> Case:
        """Replace what people added to an analysis; see `Client.describe`."""
        return await self._send(_requests.describe(id, case))

    async def correct(self, id: str, feedback: Feedback) -> Feedback:
        """Say what the image of a stored analysis really is; see `Client.correct`."""
        return await self._send(_requests.correct(id, feedback))

    async def take_back(self, id: str) -> None:
        """Take back what `correct` said of a stored analysis; see `Client.take_back`."""
        await self._send(_requests.take_back(id))

    async def corrections(self) -> tuple[CorrectedAnalysis, ...]:
        """Return what was said of the stored analyses; see `Client.corrections`."""
        return await self._send(_requests.corrections())

    async def compare(self, image: Image, other: Image) -> CompareAnswer:
        """Lay one picture over another version of it; see `Client.compare`."""
        return await self._send(_requests.compare(image, other))

    async def submit(
        self,
        images: Iterable[Image],
        *,
        keep: bool = False,
        webhook: str | None = None,
        webhook_secret: str | None = None,
        idempotency_key: str | None = None,
    ) -> JobAnswer:
        """Submit images as one job; see `Client.submit`."""
        return await self._send(_requests.submit(images, keep, webhook, webhook_secret, idempotency_key))

    async def job(self, id: str) -> JobAnswer:
        """Return the state of a job; see `Client.job`."""
        return await self._send(_requests.job(id))

    async def results(self, id: str, *, poll: float = 1.0) -> AsyncIterator[ImageResultAnswer]:
        """Yield the results of a job's images as they arrive; see `Client.results`."""
        request: Request[ImageResultsAnswer] | None = _requests.first_results(id)
        while request:
            page = await self._send(request)
            for result in page.results:
                yield result
            request = _requests.results_at(page.next) if page.next else None
            if request and not page.results:
                await self._sleep(poll)

    async def progress(self, id: str, *, poll: float = 1.0) -> AsyncIterator[JobAnswer]:
        """Yield a job now, and each time that it changes, to its end; see `Client.progress`."""
        shown: JobAnswer | None = None
        while shown is None or shown.finished is None:
            if shown is not None:
                await self._sleep(poll)
            job = await self.job(id)
            if job != shown:
                yield job
            shown = job

    async def cancel(self, id: str) -> JobAnswer:
        """Cancel a job; see `Client.cancel`."""
        return await self._send(_requests.cancel(id))

    async def _send(self, request: Request[AnAnswer]) -> AnAnswer:
        for attempt in self._server.attempt_numbers():
            try:
                response = await self._http.request(**request.arguments())
            except httpx2.HTTPError as error:
                raise self._server.unreachable(error) from None
            if response.is_success:
                return _requests.parsed(response, request.read)
            await self._sleep(self._server.wait(response, attempt))
        raise AssertionError("the last attempt returns or raises")
