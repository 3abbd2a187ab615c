"""The store of analyses: it behaves the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

import reports
from tamperscope.case import CaseDetails
from tamperscope.feedback import Correction, Truth
from tamperscope.report import Box, ManipulationType, Verdict
from tamperscope.store import IMAGE, AnalysisStore, Database, Filter, StoredPicture, Subject

SUBJECT = Subject(owner="", image_sha256="a" * 64, bundle_sha256="b" * 64, method="tests")
REPORT = reports.report().record
MASK = StoredPicture("image/png", b"\x89PNG mask \x00\xff")
PHOTO = StoredPicture("image/jpeg", b"\xff\xd8 photo")


@pytest.fixture
def store(database_url, clock):
    database = Database(database_url)
    database.migrate()
    store = AnalysisStore(database, clock)
    yield store
    store.close()


def image(number: int, owner: str = "") -> Subject:
    return replace(SUBJECT, owner=owner, image_sha256=f"{number:064x}")


def test_a_stored_analysis_is_found_again(store, clock):
    added, new = store.add(SUBJECT, REPORT, {"mask": MASK})

    found = store.get(added.id, owner="")

    assert new
    assert found == added == store.find(SUBJECT)
    assert found.created == clock.time
    assert found.report == REPORT
    assert list(found.report.evidence) == ["quiet", "jpeg_trace", "absent"]
    assert (found.pictures, found.kept) == ({"mask"}, False)
    assert store.picture(added.id, "mask", owner="") == MASK
    assert store.picture(added.id, "heatmap", owner="") is None


def test_a_subject_has_one_analysis(store):
    first, _ = store.add(SUBJECT, REPORT, {"mask": MASK})

    again, new = store.add(SUBJECT, replace(REPORT, score=0.1), {"mask": PHOTO})

    assert (again, new) == (first, False)
    assert store.picture(first.id, "mask", owner="") == MASK


@pytest.mark.parametrize("difference", ["owner", "image_sha256", "bundle_sha256", "method"])
def test_another_subject_has_another_analysis(store, difference):
    first, _ = store.add(SUBJECT, REPORT, {})

    other, new = store.add(replace(SUBJECT, **{difference: "other"}), REPORT, {})

    assert new
    assert other.id != first.id


def test_simultaneous_writers_agree_on_one_analysis(store):
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: store.add(SUBJECT, REPORT, {"mask": MASK}), range(16)))

    assert len({stored.id for stored, _ in outcomes}) == 1
    assert sum(new for _, new in outcomes) == 1


def test_an_owner_sees_nothing_of_another(store):
    stored, _ = store.add(image(1, owner="newsroom"), REPORT, {"mask": MASK})

    assert store.get(stored.id, owner="claims") is None
    assert store.get(stored.id, owner="") is None
    assert store.picture(stored.id, "mask", owner="claims") is None
    assert store.list(owner="claims", limit=10) == []
    assert not store.delete(stored.id, owner="claims")
    assert store.get(stored.id, owner="newsroom") == stored


def test_the_history_is_newest_first_in_pages(store, clock):
    added = []
    for number in range(5):
        # Two have the same time: a page that ends between them must not lose one.
        clock.time += timedelta(seconds=number % 2)
        added.append(store.add(image(number), REPORT, {})[0])
    store.add(image(9, owner="other"), REPORT, {})

    pages, after = [], None
    while page := store.list(owner="", limit=2, after=after):
        pages.append([summary.id for summary in page])
        after = page[-1].id

    assert [len(page) for page in pages] == [2, 2, 1]
    listed = list(itertools.chain(*pages))
    assert set(listed) == {stored.id for stored in added}
    created = {stored.id: stored.created for stored in added}
    assert [created[id] for id in listed] == sorted(created.values(), reverse=True)


def test_the_history_summarises_each_analysis(store):
    stored, _ = store.add(SUBJECT, REPORT, {IMAGE: PHOTO})

    [summary] = store.list(owner="", limit=10)

    assert (summary.id, summary.created) == (stored.id, stored.created)
    assert (summary.verdict, summary.score, summary.type) == (REPORT.verdict, REPORT.score, REPORT.type)
    assert (summary.image, summary.kept) == (REPORT.image, True)


def test_nothing_follows_an_id_that_is_not_the_owners(store):
    stored, _ = store.add(SUBJECT, REPORT, {})

    assert store.list(owner="", limit=10, after="0" * 32) == []
    assert store.list(owner="newsroom", limit=10, after=stored.id) == []


def test_an_image_can_be_added_once(store):
    stored, _ = store.add(SUBJECT, REPORT, {})

    store.keep(stored.id, {IMAGE: PHOTO}, replace(stored.report, notes=("more",)))
    store.keep(stored.id, {IMAGE: StoredPicture("image/png", b"other")}, REPORT)
    store.keep("0" * 32, {IMAGE: PHOTO}, REPORT)

    found = store.get(stored.id, owner="")
    assert (found.kept, found.report) == (True, replace(REPORT, notes=("more",)))
    assert store.picture(stored.id, IMAGE, owner="") == PHOTO


def test_a_deleted_analysis_takes_its_pictures_with_it(store):
    stored, _ = store.add(SUBJECT, REPORT, {"mask": MASK})
    other, _ = store.add(image(2), REPORT, {"mask": MASK})

    assert store.delete(stored.id, owner="")

    assert not store.delete(stored.id, owner="")
    assert store.get(stored.id, owner="") is store.find(SUBJECT) is None
    assert store.picture(stored.id, "mask", owner="") is None
    assert store.picture(other.id, "mask", owner="") == MASK
    assert store.add(SUBJECT, REPORT, {})[1]


def test_old_analyses_of_every_owner_expire(store, clock):
    old = [store.add(image(number, owner), REPORT, {})[0] for number, owner in ((1, ""), (2, "claims"))]
    clock.time += timedelta(days=10)
    young, _ = store.add(image(3), REPORT, {})
    clock.time += timedelta(days=20, seconds=1)

    assert store.expire(timedelta(days=30)) == 2

    assert store.expire(timedelta(days=30)) == 0
    assert store.get(old[0].id, owner="") is store.get(old[1].id, owner="claims") is None
    assert store.get(young.id, owner="") == young


CASE = CaseDetails(
    "Flood on Main Street", "2026/7", "A. B.", "Sent by a reader.", ("Flood", "Reader"), {"1a": "Same car"}
)


def found(store, **filter) -> list[str]:
    return [summary.id for summary in store.list(owner="", limit=10, filter=Filter(**filter))]


def test_what_people_add_is_stored_and_replaced(store):
    added, _ = store.add(SUBJECT, REPORT, {})

    assert store.describe(added.id, CASE, owner="")
    assert store.get(added.id, owner="").case == CASE
    assert store.list(owner="", limit=1)[0].case == CASE

    assert store.describe(added.id, CaseDetails(title="Another"), owner="")
    assert store.get(added.id, owner="").case == CaseDetails(title="Another")
    assert found(store, tag="flood") == found(store, search="reader") == []


def test_only_its_owner_can_describe_an_analysis(store):
    added, _ = store.add(replace(SUBJECT, owner="one"), REPORT, {})

    assert not store.describe(added.id, CASE, owner="other")
    assert not store.describe("f" * 32, CASE, owner="one")
    assert store.get(added.id, owner="one").case == CaseDetails()


@pytest.mark.parametrize(
    ("filter", "matches"),
    [
        ({}, True),
        ({"search": "FLOOD 2026/7"}, True),
        ({"search": "same car"}, True),
        ({"search": "flood snow"}, False),
        ({"search": "fl_od"}, False),
        ({"search": "%"}, False),
        ({"search": "0000000"}, True),
        ({"tag": "READER"}, True),
        ({"tag": "read"}, False),
        ({"verdict": Verdict.MANIPULATED}, True),
        ({"verdict": Verdict.AUTHENTIC}, False),
    ],
)
def test_a_list_is_searched_and_filtered(store, filter, matches):
    described, _ = store.add(image(1), REPORT, {})
    store.describe(described.id, CASE, owner="")

    assert found(store, **filter) == ([described.id] if matches else [])


def test_a_private_analysis_is_only_found_by_its_id(store):
    private, _ = store.add(replace(SUBJECT, private=True), REPORT, {})
    again, new = store.add(replace(SUBJECT, private=True), REPORT, {})
    listed, _ = store.add(SUBJECT, REPORT, {})

    assert new
    assert len({private.id, again.id, listed.id}) == 3
    assert found(store) == [listed.id]
    assert store.find(SUBJECT).id == listed.id
    assert store.find(replace(SUBJECT, private=True)) is None
    assert store.get(private.id, owner="").private


def test_private_analyses_expire_by_themselves(store, clock):
    store.add(replace(SUBJECT, private=True), REPORT, {})
    listed, _ = store.add(SUBJECT, REPORT, {})
    clock.time += timedelta(days=2)
    fresh, _ = store.add(replace(SUBJECT, private=True), REPORT, {})

    assert store.expire_private(timedelta(days=1)) == 1
    assert store.get(listed.id, owner="")
    assert store.get(fresh.id, owner="")


CORRECTION = Correction(Truth.MANIPULATED, ManipulationType.FACE, Box(1, 2, 30, 40))


def test_a_correction_is_stored_replaced_and_taken_back(store):
    added, _ = store.add(SUBJECT, REPORT, {})

    assert store.correct(added.id, Correction(Truth.AUTHENTIC), owner="")
    assert store.correct(added.id, CORRECTION, owner="")
    assert store.get(added.id, owner="").correction == CORRECTION
    (corrected,) = store.corrections(owner="")
    assert (corrected.correction, corrected.measurements) == (CORRECTION, REPORT.measurements)

    assert store.correct(added.id, None, owner="")
    assert store.get(added.id, owner="").correction is None
    assert list(store.corrections(owner="")) == []


def test_no_one_corrects_the_analysis_of_another_owner(store):
    added, _ = store.add(SUBJECT, REPORT, {})

    assert not store.correct(added.id, CORRECTION, owner="claims")
    assert not store.correct("0" * 32, CORRECTION, owner="")
    assert store.get(added.id, owner="").correction is None


def test_a_correction_ends_with_its_analysis(store):
    added, _ = store.add(SUBJECT, REPORT, {})
    store.correct(added.id, CORRECTION, owner="")

    store.delete(added.id, owner="")

    assert list(store.corrections(owner="")) == []


def test_more_corrections_than_are_read_at_once_are_all_found(store, monkeypatch):
    monkeypatch.setattr("tamperscope.store.analyses._PAGE", 2)
    for number in range(5):
        store.correct(store.add(image(number), REPORT, {})[0].id, CORRECTION, owner="")
    store.correct(store.add(image(9, "claims"), REPORT, {})[0].id, CORRECTION, owner="claims")

    assert len(list(store.corrections(owner=""))) == 5
