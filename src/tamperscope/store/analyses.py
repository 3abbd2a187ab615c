"""The store of analyses: add, find, list and delete them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Select, delete, exists, func, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tamperscope.case import NO_CASE, CaseDetails
from tamperscope.errors import DatabaseFullError, QuotaError
from tamperscope.feedback import CorrectedAnalysis, Correction
from tamperscope.origin import Origin
from tamperscope.report import ImageFacts, ManipulationType, ReportRecord, Verdict
from tamperscope.store.database import Database, lock_name
from tamperscope.store.tables import AnalysisRow, CaseRow, FeedbackRow, JobRow, PictureRow, TagRow

IMAGE = "image"
"""Name of the picture that is the analysed file itself; present only if a caller asked to keep it."""
THUMBNAIL = "thumbnail"
"""Name of the small picture of the analysed file; present only with `IMAGE`."""


@dataclass(frozen=True)
class Subject:
    """What was analysed, by which method, and for whom; each subject has one analysis."""

    owner: str
    """Id of the API key that requested it, empty if the server has no keys."""
    image_sha256: str
    bundle_sha256: str
    method: str
    """`Method.key`: everything the result depends on besides the image."""
    private: bool = False
    """Whether each request gets an analysis of its own, which is never listed."""


@dataclass(frozen=True)
class StoredPicture:
    """A picture file that belongs to an analysis."""

    media_type: str
    data: bytes


@dataclass(frozen=True)
class StoredAnalysis:
    """One analysis, without its pictures."""

    id: str
    created: datetime
    report: ReportRecord
    pictures: frozenset[str]
    """Names of its stored pictures."""
    case: CaseDetails = NO_CASE
    private: bool = False
    """Whether it is in no list."""
    correction: Correction | None = None
    """What someone who knows the truth says; None if no one did."""

    @property
    def kept(self) -> bool:
        """Whether the image itself was kept."""
        return IMAGE in self.pictures


@dataclass(frozen=True)
class Summary:
    """One line of the history."""

    id: str
    created: datetime
    verdict: Verdict
    score: float
    type: ManipulationType
    image: ImageFacts
    kept: bool
    origin: Origin
    case: CaseDetails = NO_CASE
    thumbnail: bool = False
    """Whether a thumbnail is stored, which it is only for an image that was kept."""


@dataclass(frozen=True)
class Usage:
    """What the analyses of one owner take."""

    analyses: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Filter:
    """Which analyses a list contains; the default is all of them."""

    search: str = ""
    """Words that must all be in what people added, or begin the image's SHA-256."""
    verdict: Verdict | None = None
    tag: str = ""

    @property
    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """The conditions on `AnalysisRow`, joined with `CaseRow`."""
        for word in self.search.casefold().split()[:MOST_WORDS]:
            yield or_(
                CaseRow.words.contains(word, autoescape=True),
                AnalysisRow.image_sha256.startswith(word, autoescape=True),
            )
        if self.verdict is not None:
            yield AnalysisRow.document["verdict"].as_string() == self.verdict.value
        if self.tag:
            yield exists().where(TagRow.analysis_id == AnalysisRow.id, TagRow.tag == self.tag.casefold())


EVERYTHING = Filter()
_PAGE = 200
MOST_WORDS = 8
"""Words of a search that count."""


def _now() -> datetime:
    return datetime.now(UTC)


class AnalysisStore:
    """The analyses of one database, for any number of threads and processes.

    Methods with an `owner` see only that owner's analyses. The analyses of one owner take at most `quota`
    bytes together; None sets no limit. Every method raises `StoreError` when the database cannot be used.
    """

    def __init__(
        self, database: Database, now: Callable[[], datetime] = _now, quota: int | None = None
    ) -> None:
        self._database = database
        self._now = now
        self.quota = quota

    @property
    def database(self) -> Database:
        """The database that holds the analyses."""
        return self._database

    def add(
        self, subject: Subject, report: ReportRecord, pictures: Mapping[str, StoredPicture]
    ) -> tuple[StoredAnalysis, bool]:
        """Store an analysis; return it and True, or the one that its subject already has and False.

        Raises `QuotaError` when it would exceed the owner's quota.
        """
        # 128 random bits, so that the address cannot be guessed.
        id = secrets.token_hex(16)
        document = report.to_json()
        row = AnalysisRow(
            id=id,
            created=self._now(),
            owner=subject.owner,
            image_sha256=subject.image_sha256,
            bundle_sha256=subject.bundle_sha256,
            method=f"{subject.method} {id}" if subject.private else subject.method,
            document=document,
            private=subject.private,
            bytes=_json_bytes(document) + _picture_bytes(pictures),
        )
        try:
            with self._database.transaction() as session:
                session.add(row)
                session.flush()
                self._enforce_quota(session, subject.owner)
                session.add_all(_picture_row(row.id, name, picture) for name, picture in pictures.items())
        except IntegrityError:
            found = self.find(subject)
            if found is None:
                raise
            return found, False
        added = StoredAnalysis(id, row.created, report, frozenset(pictures), private=subject.private)
        return added, True

    def find(self, subject: Subject) -> StoredAnalysis | None:
        """Return the analysis of a subject, or None if it does not exist; a private one is never found."""
        if subject.private:
            return None
        return self._one(
            select(AnalysisRow).where(
                AnalysisRow.owner == subject.owner,
                AnalysisRow.image_sha256 == subject.image_sha256,
                AnalysisRow.bundle_sha256 == subject.bundle_sha256,
                AnalysisRow.method == subject.method,
            )
        )

    def get(self, id: str, *, owner: str) -> StoredAnalysis | None:
        """Return an analysis of an owner, or None if it does not exist."""
        return self._one(_owned(id, owner))

    def picture(self, id: str, name: str, *, owner: str) -> StoredPicture | None:
        """Return one picture of an owner's analysis, or None if it does not exist."""
        with self._database.transaction() as session:
            row = session.scalar(
                select(PictureRow)
                .join(AnalysisRow, AnalysisRow.id == PictureRow.analysis_id)
                .where(PictureRow.analysis_id == id, PictureRow.name == name, AnalysisRow.owner == owner)
            )
            return StoredPicture(row.media_type, row.data) if row else None

    def list(
        self, *, owner: str, limit: int, after: str | None = None, filter: Filter = EVERYTHING
    ) -> Sequence[Summary]:
        """Return at most `limit` analyses of an owner, newest first, starting after the analysis `after`.

        Returns nothing if the owner has no analysis with that id. Private analyses are left out.
        """
        with self._database.transaction() as session:
            position = None
            if after is not None:
                last = session.get(AnalysisRow, after)
                if last is None or last.owner != owner:
                    return []
                position = tuple_(AnalysisRow.created, AnalysisRow.id) < tuple_(last.created, last.id)
            conditions = [
                AnalysisRow.owner == owner,
                AnalysisRow.private.is_(False),
                *filter.conditions,
                *([] if position is None else [position]),
            ]
            return summaries(session, *conditions, limit=limit)

    def describe(self, id: str, case: CaseDetails, *, owner: str) -> bool:
        """Replace what people added to an owner's analysis; return whether there is such an analysis.

        Raises `QuotaError` when it would exceed the owner's quota.
        """
        new = CaseRow(analysis_id=id, document=case.to_json(), words=case.words)
        with self._database.transaction() as session:
            # Locks the analysis: what its case takes now must not change until it is replaced.
            if not _grow(session, 0, AnalysisRow.id == id, AnalysisRow.owner == owner):
                return False
            old = session.get(CaseRow, id)
            growth = _case_bytes(new) - (_case_bytes(old) if old else 0)
            _grow(session, growth, AnalysisRow.id == id)
            if growth > 0:
                self._enforce_quota(session, owner)
            session.execute(delete(TagRow).where(TagRow.analysis_id == id))
            session.merge(new)
            tags = {tag.casefold() for tag in case.tags}
            session.add_all(TagRow(analysis_id=id, tag=tag) for tag in sorted(tags))
            return True

    def correct(self, id: str, correction: Correction | None, *, owner: str) -> bool:
        """Replace what someone says of an owner's analysis, or take it back with None.

        Return whether there is such an analysis.
        """
        with self._database.transaction() as session:
            if session.scalar(_owned(id, owner).with_for_update()) is None:
                return False
            session.execute(delete(FeedbackRow).where(FeedbackRow.analysis_id == id))
            if correction:
                session.add(FeedbackRow(analysis_id=id, document=correction.to_json()))
            return True

    def corrections(self, *, owner: str) -> Iterator[CorrectedAnalysis]:
        """Yield every correction of an owner, in the order of their ids."""
        last = ""
        while True:
            with self._database.transaction() as session:
                page = session.execute(
                    select(AnalysisRow.id, AnalysisRow.document, FeedbackRow.document)
                    .join(FeedbackRow, FeedbackRow.analysis_id == AnalysisRow.id)
                    .where(AnalysisRow.owner == owner, AnalysisRow.id > last)
                    .order_by(AnalysisRow.id)
                    .limit(_PAGE)
                ).all()
            for id, document, correction in page:
                last = id
                yield CorrectedAnalysis.of(ReportRecord.from_json(document), Correction.from_json(correction))
            if len(page) < _PAGE:
                return

    def keep(self, id: str, pictures: Mapping[str, StoredPicture], report: ReportRecord) -> None:
        """Add the image, and what shows it, to an analysis that still exists and does not have it yet.

        `report` replaces the report of the analysis. Raises `QuotaError` when the image would exceed the
        owner's quota.
        """
        document = report.to_json()
        try:
            with self._database.transaction() as session:
                if not _grow(session, _picture_bytes(pictures), AnalysisRow.id == id):
                    return
                row = session.get_one(AnalysisRow, id)
                row.bytes += _json_bytes(document) - _json_bytes(row.document)
                row.document = document
                session.flush()
                self._enforce_quota(session, row.owner)
                session.add_all(_picture_row(id, name, picture) for name, picture in pictures.items())
        except IntegrityError:
            return

    def usage(self, *, owner: str) -> Usage:
        """Return what the analyses of an owner take."""
        with self._database.transaction() as session:
            return _usage(session, owner)

    def usage_by_owner(self) -> Mapping[str, Usage]:
        """Return what the analyses of each owner take; owners without any are left out."""
        row = AnalysisRow
        query = select(row.owner, func.count(), func.sum(row.bytes)).group_by(row.owner)
        with self._database.transaction() as session:
            return {owner: Usage(count, int(total)) for owner, count, total in session.execute(query)}

    def check_quota(self, owner: str) -> None:
        """Raise `QuotaError` if the owner's quota is used up already."""
        if self.quota is not None and self.usage(owner=owner).bytes >= self.quota:
            raise _quota_error(self.quota)

    def delete(self, id: str, *, owner: str) -> bool:
        """Delete an owner's analysis with its pictures; return whether there was one."""
        return delete_rows(self._database, AnalysisRow, AnalysisRow.id == id, AnalysisRow.owner == owner) > 0

    def erase(self, *, owner: str) -> int:
        """Delete all analyses of an owner with their pictures; return how many there were."""
        return delete_rows(self._database, AnalysisRow, AnalysisRow.owner == owner)

    def expire(self, age: timedelta) -> int:
        """Delete the analyses of all owners that are older than `age`; return how many there were."""
        return delete_rows(self._database, AnalysisRow, AnalysisRow.created < self._now() - age)

    def expire_private(self, age: timedelta) -> int:
        """Delete the private analyses that are older than `age`; return how many there were."""
        old = AnalysisRow.created < self._now() - age
        return delete_rows(self._database, AnalysisRow, AnalysisRow.private.is_(True), old)

    def close(self) -> None:
        """Close the connections to the database."""
        self._database.close()

    def _enforce_quota(self, session: Session, owner: str) -> None:
        """Raise `QuotaError` if the owner's analyses, with what this transaction adds, exceed the quota."""
        if self.quota is None:
            return
        # Otherwise two servers could each count without what the other adds.
        lock_name(session, f"quota {owner}")
        if _usage(session, owner).bytes > self.quota:
            raise _quota_error(self.quota)

    def _one(self, query: Select[AnalysisRow]) -> StoredAnalysis | None:
        with self._database.transaction() as session:
            row = session.scalar(query)
            if row is None:
                return None
            correction = session.scalar(select(FeedbackRow.document).where(FeedbackRow.analysis_id == row.id))
            return StoredAnalysis(
                row.id,
                row.created,
                ReportRecord.from_json(row.document),
                _names(session, row.id),
                CaseDetails.from_json(
                    session.scalar(select(CaseRow.document).where(CaseRow.analysis_id == row.id))
                ),
                row.private,
                correction and Correction.from_json(correction),
            )


def _owned(id: str, owner: str) -> Select[AnalysisRow]:
    return select(AnalysisRow).where(AnalysisRow.id == id, AnalysisRow.owner == owner)


def summaries(session: Session, *conditions: ColumnElement[bool], limit: int | None = None) -> list[Summary]:
    """Return summaries of the analyses that meet the conditions, newest first."""
    document = AnalysisRow.document
    query = (
        select(
            AnalysisRow.id,
            AnalysisRow.created,
            document["verdict"].as_string(),
            document["score"].as_float(),
            document["type"].as_string(),
            document["image"],
            _has(IMAGE),
            document["origin"],
            CaseRow.document,
            _has(THUMBNAIL),
        )
        .outerjoin(CaseRow, CaseRow.analysis_id == AnalysisRow.id)
        .where(*conditions)
        .order_by(AnalysisRow.created.desc(), AnalysisRow.id.desc())
        .limit(limit)
    )
    return [
        Summary(
            id,
            created,
            Verdict(verdict),
            score,
            ManipulationType(kind),
            ImageFacts.from_json(image),
            kept,
            Origin.from_json(origin),
            CaseDetails.from_json(case),
            thumbnail,
        )
        for id, created, verdict, score, kind, image, kept, origin, case, thumbnail in session.execute(query)
    ]


def _has(picture: str) -> ColumnElement[bool]:
    return exists().where(PictureRow.analysis_id == AnalysisRow.id, PictureRow.name == picture)


def delete_rows(
    database: Database, table: type[AnalysisRow | JobRow], *conditions: ColumnElement[bool]
) -> int:
    """Delete the rows that meet the conditions, with their dependent rows; return how many matched.

    On a full disk this uses the space reserved for it. Raises `DatabaseFullError` when that does not suffice.
    """
    try:
        with database.transaction() as session:
            return _delete(session, table, *conditions)
    except DatabaseFullError:
        with database.transaction() as session:
            ids = session.scalars(select(table.id).where(*conditions)).all()
    # One at a time, because the reserve suffices for one.
    deleted = 0
    for id in ids:
        with database.transaction_on_reserve() as session:
            deleted += _delete(session, table, table.id == id)
    return deleted


def _delete(session: Session, table: type[AnalysisRow | JobRow], *conditions: ColumnElement[bool]) -> int:
    # The database itself deletes the dependent rows (ON DELETE CASCADE).
    deleted = session.execute(
        delete(table).where(*conditions), execution_options={"synchronize_session": False}
    )
    return int(deleted.rowcount)  # type: ignore[attr-defined]


def _usage(session: Session, owner: str) -> Usage:
    row = AnalysisRow
    query = select(func.count(), func.coalesce(func.sum(row.bytes), 0)).where(row.owner == owner)
    count, total = session.execute(query).one()
    return Usage(count, int(total))


def _quota_error(quota: int) -> QuotaError:
    return QuotaError(
        f"The analyses stored for you may take {quota:,} bytes together, and this would exceed it; delete "
        "some, or do not keep the image."
    )


def _grow(session: Session, growth: int, *conditions: ColumnElement[bool]) -> bool:
    """Add to the size of the analysis that meets the conditions; return whether there is one."""
    changed = session.execute(
        update(AnalysisRow).where(*conditions).values(bytes=AnalysisRow.bytes + growth),
        execution_options={"synchronize_session": False},
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def _json_bytes(document: object) -> int:
    # As SQLAlchemy writes it.
    return len(json.dumps(document))


def _case_bytes(row: CaseRow) -> int:
    return _json_bytes(row.document) + len(row.words.encode())


def _picture_bytes(pictures: Mapping[str, StoredPicture]) -> int:
    return sum(len(picture.data) for picture in pictures.values())


def _picture_row(id: str, name: str, picture: StoredPicture) -> PictureRow:
    return PictureRow(analysis_id=id, name=name, media_type=picture.media_type, data=picture.data)


def _names(session: Session, id: str) -> frozenset[str]:
    return frozenset(session.scalars(select(PictureRow.name).where(PictureRow.analysis_id == id)))
