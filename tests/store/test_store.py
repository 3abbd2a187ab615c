"""What is kept, for whom, and for how long: the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from tamperscope.store import IMAGE, Database, Picture, Store, Subject

SUBJECT = Subject(owner="", image_sha256="a" * 64, bundle_sha256="b" * 64, method="tests")
DOCUMENT = {
    "verdict": "manipulated",
    "score": 0.75,
    "type": "face",
    "image": {"width": 640, "height": 480},
    "evidence": {"z": 1, "a": 2},
}
MASK = Picture("image/png", b"\x89PNG mask \x00\xff")
PHOTO = Picture("image/jpeg", b"\xff\xd8 photo")


@pytest.fixture
def store(database_url, clock):
    database = Database(database_url)
    database.migrate()
    store = Store(database, clock)
    yield store
    store.close()


def image(number: int, owner: str = "") -> Subject:
    return replace(SUBJECT, owner=owner, image_sha256=f"{number:064x}")


def test_what_was_kept_is_found_again(store, clock):
    added, new = store.add(SUBJECT, DOCUMENT, {"mask": MASK})

    found = store.get(added.id, owner="")

    assert new
    assert found == added == store.find(SUBJECT)
    assert found.created == clock.time
    assert found.document == DOCUMENT
    assert list(found.document["evidence"]) == ["z", "a"]
    assert (found.pictures, found.kept) == ({"mask"}, False)
    assert store.picture(added.id, "mask", owner="") == MASK
    assert store.picture(added.id, "heatmap", owner="") is None


def test_a_subject_has_one_analysis(store):
    first, _ = store.add(SUBJECT, DOCUMENT, {"mask": MASK})

    again, new = store.add(SUBJECT, DOCUMENT | {"score": 0.1}, {"mask": PHOTO})

    assert (again, new) == (first, False)
    assert store.picture(first.id, "mask", owner="") == MASK


@pytest.mark.parametrize("difference", ["owner", "image_sha256", "bundle_sha256", "method"])
def test_another_subject_has_another_analysis(store, difference):
    first, _ = store.add(SUBJECT, DOCUMENT, {})

    other, new = store.add(replace(SUBJECT, **{difference: "other"}), DOCUMENT, {})

    assert new
    assert other.id != first.id


def test_many_at_once_agree_on_one_analysis(store):
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: store.add(SUBJECT, DOCUMENT, {"mask": MASK}), range(16)))

    assert len({stored.id for stored, _ in outcomes}) == 1
    assert sum(new for _, new in outcomes) == 1


def test_an_owner_sees_nothing_of_another(store):
    stored, _ = store.add(image(1, owner="newsroom"), DOCUMENT, {"mask": MASK})

    assert store.get(stored.id, owner="claims") is None
    assert store.get(stored.id, owner="") is None
    assert store.picture(stored.id, "mask", owner="claims") is None
    assert store.list(owner="claims", limit=10) == []
    assert not store.delete(stored.id, owner="claims")
    assert store.get(stored.id, owner="newsroom") == stored


def test_the_history_is_newest_first_in_pages(store, clock):
    added = []
    for number in range(5):
        # Two at the same moment: a page must not end between them and lose one.
        clock.time += timedelta(seconds=number % 2)
        added.append(store.add(image(number), DOCUMENT, {})[0])
    store.add(image(9, owner="other"), DOCUMENT, {})

    pages, after = [], None
    while page := store.list(owner="", limit=2, after=after):
        pages.append([summary.id for summary in page])
        after = page[-1].id

    assert [len(page) for page in pages] == [2, 2, 1]
    listed = list(itertools.chain(*pages))
    assert set(listed) == {stored.id for stored in added}
    created = {stored.id: stored.created for stored in added}
    assert [created[id] for id in listed] == sorted(created.values(), reverse=True)


def test_the_history_says_what_was_found(store):
    stored, _ = store.add(SUBJECT, DOCUMENT, {IMAGE: PHOTO})

    [summary] = store.list(owner="", limit=10)

    assert (summary.id, summary.created) == (stored.id, stored.created)
    assert (summary.verdict, summary.score, summary.type) == ("manipulated", 0.75, "face")
    assert (summary.image, summary.kept) == (DOCUMENT["image"], True)


def test_nothing_follows_an_id_that_is_not_the_owners(store):
    stored, _ = store.add(SUBJECT, DOCUMENT, {})

    assert store.list(owner="", limit=10, after="0" * 32) == []
    assert store.list(owner="newsroom", limit=10, after=stored.id) == []


def test_an_image_is_kept_once_it_is_asked_for(store):
    stored, _ = store.add(SUBJECT, DOCUMENT, {})

    store.keep(stored.id, PHOTO, {**stored.document, "more": 1})
    store.keep(stored.id, Picture("image/png", b"other"), {})
    store.keep("0" * 32, PHOTO, {})

    found = store.get(stored.id, owner="")
    assert (found.kept, found.document) == (True, {**DOCUMENT, "more": 1})
    assert store.picture(stored.id, IMAGE, owner="") == PHOTO


def test_a_deleted_analysis_takes_its_pictures_along(store):
    stored, _ = store.add(SUBJECT, DOCUMENT, {"mask": MASK})
    other, _ = store.add(image(2), DOCUMENT, {"mask": MASK})

    assert store.delete(stored.id, owner="")

    assert not store.delete(stored.id, owner="")
    assert store.get(stored.id, owner="") is store.find(SUBJECT) is None
    assert store.picture(stored.id, "mask", owner="") is None
    assert store.picture(other.id, "mask", owner="") == MASK
    assert store.add(SUBJECT, DOCUMENT, {})[1]


def test_what_is_too_old_goes_whoever_owns_it(store, clock):
    old = [store.add(image(number, owner), DOCUMENT, {})[0] for number, owner in ((1, ""), (2, "claims"))]
    clock.time += timedelta(days=10)
    young, _ = store.add(image(3), DOCUMENT, {})
    clock.time += timedelta(days=20, seconds=1)

    assert store.expire(timedelta(days=30)) == 2

    assert store.expire(timedelta(days=30)) == 0
    assert store.get(old[0].id, owner="") is store.get(old[1].id, owner="claims") is None
    assert store.get(young.id, owner="") == young
