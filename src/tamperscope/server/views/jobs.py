"""`/v1/jobs`: many images at once, analysed in turn at low priority.

With API keys, a job belongs to the key that submitted it; for all other keys it does not exist.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from tamperscope.api import (
    ImageProblem,
    ImageResultAnswer,
    ImageResultsAnswer,
    JobAnswer,
    JobImagesAnswer,
    JobLinksAnswer,
    JobsAnswer,
    WebhookAnswer,
)
from tamperscope.errors import BusyError, ReusedKeyError, WebhookError
from tamperscope.jobs.intake import JobLimits, images_in_archive, images_in_form, spooled
from tamperscope.jobs.model import (
    ImageResult,
    ImageState,
    Job,
    JobState,
    Submission,
    WebhookTarget,
    fingerprint,
)
from tamperscope.jobs.queue import JobQueue
from tamperscope.jobs.runner import JobRunner
from tamperscope.jobs.webhooks import check_target
from tamperscope.server.forms import AFTER, FLAG, LIMIT, JobForm, flag, form_of, or_404, page_size, respond
from tamperscope.server.middleware.access import owner
from tamperscope.server.middleware.problems import uri
from tamperscope.server.openapi import Parameter, operation
from tamperscope.server.views.analyses import summary_line
from tamperscope.settings import Settings

PATH = "/v1/jobs"

# What a form adds for each file (its headers and name), and for everything else.
_FILE_HEAD_BYTES = 1024
_FORM_BYTES = 64 * 1024
_FORM_FIELDS = 16
# Storing many images occupies a thread for seconds; the other threads stay free for interactive requests.
_RECEIVED_AT_ONCE = 2
_RESULT_STATES = (ImageState.DONE, ImageState.FAILED)

_ID = Parameter("id", "Id of the job.", {"type": "string", "pattern": "^[0-9a-f]{32}$"}, place="path")
_KEEP = Parameter("keep", "The same as the form's `keep`.", FLAG)
_KEY = Parameter(
    "Idempotency-Key",
    "Any text that is unique to this job. A repeated request with the same key creates no second job.",
    {"type": "string", "pattern": "^[!-~]{1,255}$"},
    place="header",
)
_JOB_STATE = Parameter("state", "Only jobs in this state.", {"type": "string", "enum": list(JobState)})
_RESULT_STATE = Parameter(
    "state", "Only results in this state.", {"type": "string", "enum": list(_RESULT_STATES)}
)
_AFTER_RESULT = Parameter(
    "after",
    "Number of results to skip, in the order in which they were finished.",
    {"type": "integer", "minimum": 0},
)
_STORED = (404, 503)

_State = TypeVar("_State", bound=StrEnum)


def request_limit(settings: Settings) -> int:
    """Return the largest allowed size of the body of a job request, in bytes."""
    return settings.job_bytes + settings.job_images * _FILE_HEAD_BYTES + _FORM_BYTES


def blueprint(jobs: JobQueue, runner: JobRunner, settings: Settings) -> Blueprint:
    """Return the endpoints for jobs; `runner` is told about each new one."""
    views = Blueprint("jobs", __name__)
    receiving = threading.BoundedSemaphore(_RECEIVED_AT_ONCE)

    @views.post(PATH)
    @operation(
        JobAnswer,
        statuses=(200, 202),
        problems=(400, 413, 415, 422, 503),
        form=JobForm,
        parameters=(_KEEP, _KEY),
    )
    def create_job() -> Response:
        """Submit many images for analysis (202), or return the existing job of an `Idempotency-Key` (200)."""
        request.max_content_length = request_limit(settings)
        request.max_form_parts = settings.job_images + _FORM_FIELDS
        if not receiving.acquire(blocking=False):
            raise BusyError("The server is receiving as many jobs as it can; try again in a few seconds.")
        try:
            job, new = _submit(jobs, settings)
        finally:
            receiving.release()
        if new:
            runner.nudge()
        response = respond(_answer(job), 202 if new else 200)
        response.headers["Location"] = _address(job.id)
        return response

    @views.get(PATH)
    @operation(JobsAnswer, problems=(400, 503), parameters=(LIMIT, AFTER, _JOB_STATE))
    def list_jobs() -> Response:
        """Return the jobs, newest first."""
        limit, state = page_size(request.args.get("limit")), _state(tuple(JobState))
        found = jobs.list(owner=owner(), limit=limit + 1, after=request.args.get("after"), state=state)
        more = f"{PATH}?limit={limit}&after={found[limit - 1].id}" if len(found) > limit else None
        return respond(
            JobsAnswer(jobs=tuple(_answer(job) for job in found[:limit]), next=_filtered(more, state))
        )

    @views.get(f"{PATH}/<id>")
    @operation(JobAnswer, problems=_STORED, parameters=(_ID,))
    def get_job(id: str) -> Response:
        """Return the state and progress of a job."""
        return respond(_answer(or_404(jobs.get(id, owner=owner()), "job")))

    @views.get(f"{PATH}/<id>/results")
    @operation(
        ImageResultsAnswer, problems=(400, *_STORED), parameters=(_ID, LIMIT, _AFTER_RESULT, _RESULT_STATE)
    )
    def job_results(id: str) -> Response:
        """Return the results so far, in the order they were finished; `next` leads to later ones."""
        limit, state = page_size(request.args.get("limit")), _state(_RESULT_STATES)
        after = _position(request.args.get("after"))
        # The job is read before its results: if it has ended by then, all its results are there.
        job = or_404(jobs.get(id, owner=owner()), "job")
        found = jobs.results(id, limit=limit + 1, after=after, state=state)
        listed = found[:limit]
        last = listed[-1].settled if listed else after
        more = len(found) > limit or job.finished is None
        address = f"{_address(id)}/results?limit={limit}&after={last}" if more else None
        return respond(
            ImageResultsAnswer(
                results=tuple(_result(each) for each in listed), next=_filtered(address, state)
            )
        )

    @views.post(f"{PATH}/<id>/cancel")
    @operation(JobAnswer, problems=_STORED, parameters=(_ID,))
    def cancel_job(id: str) -> Response:
        """Stop a job. Its results so far remain; a job that has ended is not changed."""
        return respond(_answer(or_404(jobs.cancel(id, owner=owner()), "job")))

    @views.delete(f"{PATH}/<id>")
    @operation({}, statuses=(204,), problems=_STORED, parameters=(_ID,))
    def delete_job(id: str) -> Response:
        """Cancel a job and delete it with its results. Its analyses remain at their own addresses."""
        or_404(jobs.delete(id, owner=owner()) or None, "job")
        return Response(status=204)

    return views


def _submit(jobs: JobQueue, settings: Settings) -> tuple[Job, bool]:
    files, texts = form_of(request)
    submission = Submission(
        owner=owner(),
        keep=flag("keep", texts.get("keep"), request.args.get("keep")),
        idempotency_key=_idempotency_key(),
        webhook=_target(texts.get("webhook"), texts.get("webhook_secret"), settings.webhooks),
    )
    images, archives = files.getlist("image"), files.getlist("archive")
    if archives and (images or len(archives) > 1):
        raise BadRequest("Send either files in the form field 'image', or one zip archive in 'archive'.")

    read = (
        images_in_archive(archives[0].stream, _limits(settings))
        if archives
        else images_in_form(((file.filename or "", file.stream) for file in images), _limits(settings))
    )
    # Read before the database is locked: a client decides how long unpacking takes.
    with spooled(read) as submitted:
        job, new = jobs.submit(submission, submitted, most=settings.jobs)
        reused = not new and job.fingerprint != fingerprint(submission, submitted)
    if reused:
        raise ReusedKeyError(
            "This `Idempotency-Key` belongs to a job with a different request; each job needs its own key."
        )
    return job, new


def _limits(settings: Settings) -> JobLimits:
    return JobLimits(settings.job_images, settings.job_bytes, settings.max_bytes)


def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not re.fullmatch(r"[!-~]{1,255}", key):
        raise BadRequest("An `Idempotency-Key` must be 1 to 255 printable ASCII characters without spaces.")
    return key


def _target(url: str | None, secret: str | None, allowed: str) -> WebhookTarget | None:
    if not url and not secret:
        return None
    if allowed == "none":
        raise WebhookError("This server sends no webhooks.")
    target = WebhookTarget(url or "", secret or "")
    check_target(target, private=allowed == "any")
    return target


def _state(allowed: Sequence[_State]) -> _State | None:
    text = request.args.get("state")
    found = next((state for state in allowed if state == text), None)
    if text is not None and found is None:
        raise BadRequest("`state` must be one of " + ", ".join(allowed) + ".")
    return found


def _position(text: str | None) -> int:
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 8):
        raise BadRequest("`after` must be the number from `next`.")
    return int(text)


def _filtered(address: str | None, state: JobState | ImageState | None) -> str | None:
    return f"{address}&state={state}" if address and state else address


def _address(id: str) -> str:
    return f"{PATH}/{id}"


def _answer(job: Job) -> JobAnswer:
    address = _address(job.id)
    webhook = job.webhook
    return JobAnswer(
        id=job.id,
        created=job.created,
        finished=job.finished,
        state=job.state,
        keep=job.keep,
        images=JobImagesAnswer(total=job.total, done=job.done, failed=job.failed),
        webhook=WebhookAnswer(
            url=webhook.url, state=webhook.state, attempts=webhook.attempts, error=webhook.error
        )
        if webhook
        else None,
        links=JobLinksAnswer(
            self=address,
            results=f"{address}/results",
            cancel=f"{address}/cancel" if job.finished is None else None,
        ),
    )


def _result(result: ImageResult) -> ImageResultAnswer:
    failure = result.failure
    return ImageResultAnswer(
        number=result.number,
        name=result.name,
        analysis=summary_line(result.analysis) if result.analysis else None,
        problem=ImageProblem(type=uri(failure.kind), detail=failure.detail) if failure else None,
    )
