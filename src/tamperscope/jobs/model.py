"""What a job is: its states, its images, its results and its webhook, as plain frozen data."""

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
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class ImageState(StrEnum):
    """How far one image of a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class WebhookState(StrEnum):
    """How far the message about a job's end is."""

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
    """One image of a new job; one that failed already has no data."""

    name: str
    """What its owner calls it."""
    data: bytes
    failure: Failure | None = None


@dataclass(frozen=True)
class WebhookTarget:
    """Whom to tell when a job ends."""

    url: str
    secret: str
    """What the message is signed with."""


@dataclass(frozen=True)
class Submission:
    """What a new job is to be, apart from its images."""

    owner: str
    """Name of the API key it was asked for with, empty where the server has no keys."""
    keep: bool = False
    idempotency_key: str | None = None
    webhook: WebhookTarget | None = None


@dataclass(frozen=True)
class Webhook:
    """How the message about a job's end fares."""

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
    """Digest of what was asked for."""
    webhook: Webhook | None

    @property
    def settled(self) -> int:
        """How many images are through."""
        return self.done + self.failed


@dataclass(frozen=True)
class ImageResult:
    """What became of one image of a job."""

    settled: int
    """Its place in the order in which images were through, from 1."""
    number: int
    name: str
    analysis: Summary | None
    """None where it failed, and where the analysis was deleted since."""
    failure: Failure | None


@dataclass(frozen=True)
class Claim:
    """An image that was taken to be analysed, and the right to say what became of it."""

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
    """A message about a job's end that is due."""

    job: Job
    target: WebhookTarget
    attempt: int


@dataclass(frozen=True)
class Backlog:
    """How much there is to do, over all owners."""

    jobs: Mapping[JobState, int]
    waiting: int
    """Images that nobody has in work."""
    running: int
    """Images in work."""
    oldest_seconds: float
    """Age of the oldest job that still waits or runs, 0 for none."""


class Fingerprint:
    """The digest of what a submission asks for, taken image by image."""

    def __init__(self, submission: Submission) -> None:
        url = submission.webhook.url if submission.webhook else ""
        self._digest = hashlib.sha256(f"{submission.keep} {url}".encode())

    def add(self, image: SubmittedImage) -> None:
        """Add the next image."""
        self._digest.update(hashlib.sha256(image.name.encode()).digest())
        self._digest.update(hashlib.sha256(image.data).digest())

    @property
    def value(self) -> str:
        """The digest of the submission and the images added by now, 64 hexadecimal digits."""
        return self._digest.hexdigest()


def fingerprint(submission: Submission, images: Iterable[SubmittedImage]) -> str:
    """Return the digest of what a submission asks for."""
    whole = Fingerprint(submission)
    for image in images:
        whole.add(image)
    return whole.value
