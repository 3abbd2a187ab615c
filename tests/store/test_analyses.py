"""The store of analyses: it behaves the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

import reports
from tamperscope.store import IMAGE, AnalysisStore, Database, StoredPicture, Subject

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

    store.keep(stored.id, PHOTO, replace(stored.report, notes=("more",)))
    store.keep(stored.id, StoredPicture("image/png", b"other"), REPORT)
    store.keep("0" * 32, PHOTO, REPORT)

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
