"""The tables of the schema after the newest migration."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The base class of every table of this package."""

    # Migrations drop a constraint by its name, so each needs a name that does not depend on the database.
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
            "uq": "uq_%(table_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with its time zone. SQLite stores no time zone, so there it is written and read as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return the moment in UTC."""
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return the moment in UTC, whatever the database's own time zone is."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class AnalysisRow(Base):
    """One analysis of one image."""

    __tablename__ = "analysis"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    created: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    owner: Mapped[str] = mapped_column(Text)
    """Id of the API key that requested it; empty without keys, because NULL is never unique."""
    image_sha256: Mapped[str] = mapped_column(String(64))
    bundle_sha256: Mapped[str] = mapped_column(String(64))
    method: Mapped[str] = mapped_column(Text)
    document: Mapped[dict[str, Any]] = mapped_column(JSON)
    """`Report.to_json()`. Not JSONB, which loses the order of the evidence."""
    private: Mapped[bool] = mapped_column(server_default=false())
    """Whether it is in no list, and only its id leads to it. Its `method` ends with its id, so that no other
    request for the same image finds it."""

    __table_args__ = (
        UniqueConstraint(owner, image_sha256, bundle_sha256, method),
        Index(None, owner, created, id),
    )


class PictureRow(Base):
    """One picture that belongs to an analysis."""

    __tablename__ = "picture"

    analysis_id: Mapped[str] = mapped_column(ForeignKey(AnalysisRow.id, ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    media_type: Mapped[str] = mapped_column(String(64))
    data: Mapped[bytes] = mapped_column(LargeBinary)


class CaseRow(Base):
    """What a person added to an analysis."""

    __tablename__ = "analysis_case"

    analysis_id: Mapped[str] = mapped_column(ForeignKey(AnalysisRow.id, ondelete="CASCADE"), primary_key=True)
    document: Mapped[dict[str, Any]] = mapped_column(JSON)
    """`CaseDetails.to_json()`."""
    words: Mapped[str] = mapped_column(Text)
    """`CaseDetails.words`, which a search looks through."""


class FeedbackRow(Base):
    """What someone who knows the truth says of an analysis."""

    __tablename__ = "analysis_feedback"

    analysis_id: Mapped[str] = mapped_column(ForeignKey(AnalysisRow.id, ondelete="CASCADE"), primary_key=True)
    document: Mapped[dict[str, Any]] = mapped_column(JSON)
    """`Correction.to_json()`."""


class TagRow(Base):
    """One tag of an analysis, in lower case."""

    __tablename__ = "analysis_tag"

    analysis_id: Mapped[str] = mapped_column(ForeignKey(AnalysisRow.id, ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(40), primary_key=True, index=True)


class JobRow(Base):
    """A job: many images to analyse, and their progress."""

    __tablename__ = "job"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    owner: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16), index=True)
    keep: Mapped[bool]
    """Whether the images are kept with their analyses."""
    total: Mapped[int]
    done: Mapped[int]
    failed: Mapped[int]
    served: Mapped[datetime] = mapped_column(UtcDateTime)
    """When one of its images was last claimed; jobs take turns by it."""
    finished: Mapped[datetime | None] = mapped_column(UtcDateTime)
    idempotency_key: Mapped[str | None] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(String(64))
    """Digest of the submission and its images."""

    __table_args__ = (
        UniqueConstraint(owner, idempotency_key),
        Index(None, owner, created, id),
    )


class JobImageRow(Base):
    """One image of a job, and its result."""

    __tablename__ = "job_image"

    job_id: Mapped[str] = mapped_column(ForeignKey(JobRow.id, ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Its position among the job's images, from 0."""
    name: Mapped[str] = mapped_column(Text)
    """The owner's name for it."""
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int]
    lease: Mapped[str | None] = mapped_column(String(32))
    """A token that only the worker on this image has; without it, no result can be recorded."""
    leased_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    settled: Mapped[int | None] = mapped_column()
    """Its position in the order in which the job's images were finished, from 1; NULL until then."""
    analysis_id: Mapped[str | None] = mapped_column(String(32))
    """Not a foreign key: an analysis may be deleted at any time, and readers of this id handle that."""
    error_kind: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        UniqueConstraint(job_id, settled),
        Index(None, state, leased_until),
    )


class JobFileRow(Base):
    """The file of an image that has not been analysed yet."""

    __tablename__ = "job_file"

    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (
        ForeignKeyConstraint([job_id, number], [JobImageRow.job_id, JobImageRow.number], ondelete="CASCADE"),
    )


class WebhookRow(Base):
    """The webhook of a job: the address that is notified when the job ends."""

    __tablename__ = "webhook"

    job_id: Mapped[str] = mapped_column(ForeignKey(JobRow.id, ondelete="CASCADE"), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(Text)
    """The key that signs its messages; empty once nothing is left to sign."""
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int]
    due: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    error: Mapped[str | None] = mapped_column(Text)
