"""The data of a job: its states, images, results and webhook, as frozen dataclasses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamperscope.store.analyses import Summary


class JobState(StrEnum):
    """The state of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class ImageState(StrEnum):
    """The state of one image of a job."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class WebhookState(StrEnum):
    """The state of the message that a job has ended."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True)
class Failure:
    """Why an image has no analysis."""

    kind: str
    """The reason in one word, the same as in a problem's `type`."""
    detail: str
    """One or two sentences for the person who sent the image."""


@dataclass(frozen=True)
class SubmittedImage:
    """One image of a new job; it has no data if it has failed already."""

    name: str
    """The owner's name for it."""
    data: bytes
    failure: Failure | None = None


@dataclass(frozen=True)
class WebhookTarget:
    """Where to send a message when a job ends."""

    url: str
    secret: str
    """The key that signs the message."""


@dataclass(frozen=True)
class Submission:
    """The description of a new job, without its images."""

    owner: str
    """Id of the API key that submitted it, empty if the server has no keys."""
    keep: bool = False
    idempotency_key: str | None = None
    webhook: WebhookTarget | None = None


@dataclass(frozen=True)
class Webhook:
    """The state of delivery of the message that a job has ended."""

    url: str
    state: WebhookState
    attempts: int
    error: str | None


@dataclass(frozen=True)
class Job:
    """One job, without its images."""

    id: str
    created: datetime
    finished: datetime | None
    state: JobState
    keep: bool
    total: int
    done: int
    failed: int
    fingerprint: str
    """Digest of the submission and its images."""
    webhook: Webhook | None

    @property
    def settled(self) -> int:
        """Number of finished images, successful or failed."""
        return self.done + self.failed


@dataclass(frozen=True)
class ImageResult:
    """The result of one image of a job."""

    settled: int
    """Its position in the order in which the images were finished, from 1."""
    number: int
    name: str
    analysis: Summary | None
    """None if the image failed or the analysis has been deleted since."""
    failure: Failure | None


@dataclass(frozen=True)
class Claim:
    """An image that a worker has taken, and the right to record its result."""

    job_id: str
    number: int
    lease: str
    attempt: int
    """1 for the first worker that takes it."""
    owner: str
    keep: bool
    data: bytes


@dataclass(frozen=True)
class WebhookDelivery:
    """A message that a job has ended, due for delivery."""

    job: Job
    target: WebhookTarget
    attempt: int


@dataclass(frozen=True)
class Backlog:
    """The work that remains, over all owners."""

    jobs: Mapping[JobState, int]
    waiting: int
    """Images that no worker has taken."""
    running: int
    """Images in progress."""
    oldest_seconds: float
    """Age of the oldest unfinished job, 0 without one."""


class Fingerprint:
    """The digest of a submission, computed image by image."""

    def __init__(self, submission: Submission) -> None:
        url = submission.webhook.url if submission.webhook else ""
        self._digest = hashlib.sha256(f"{submission.keep} {url}".encode())

    def add(self, image: SubmittedImage) -> None:
        """Add the next image."""
        self._digest.update(hashlib.sha256(image.name.encode()).digest())
        self._digest.update(hashlib.sha256(image.data).digest())

    @property
    def value(self) -> str:
        """The digest of the submission and the images added so far, 64 hexadecimal digits."""
        return self._digest.hexdigest()


def fingerprint(submission: Submission, images: Iterable[SubmittedImage]) -> str:
    """Return the digest of a submission and its images."""
    whole = Fingerprint(submission)
    for image in images:
        whole.add(image)
    return whole.value
