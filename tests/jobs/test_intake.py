"""The images that a job accepts, and those that it must not."""

from __future__ import annotations

import errno
import re
import struct
import zipfile
from contextlib import suppress
from io import BytesIO

import pytest

from tamperscope.errors import ArchiveError, EmptyJobError, JobTooLargeError, TemporaryFolderError
from tamperscope.jobs import intake
from tamperscope.jobs.intake import JobLimits, SpooledImages, images_in_archive, images_in_form, spooled
from tamperscope.jobs.model import SubmittedImage

LIMITS = JobLimits(images=5, bytes=4000, image_bytes=1000)


def form(*files: tuple[str, bytes], limits: JobLimits = LIMITS):
    return list(images_in_form([(name, BytesIO(data)) for name, data in files], limits))


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def archive(data: bytes, limits: JobLimits = LIMITS):
    return list(images_in_archive(BytesIO(data), limits))


def named(taken: list[SubmittedImage]) -> list[tuple[str, bytes]]:
    return [(image.name, image.data) for image in taken]


def test_a_form_keeps_its_order_and_names():
    taken = form(("a.jpg", b"1"), ("b.jpg", b"2"), ("a.jpg", b"3"))

    assert [(image.name, image.data) for image in taken] == [
        ("a.jpg", b"1"),
        ("b.jpg", b"2"),
        ("a.jpg", b"3"),
    ]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_yields_its_files_without_those_that_programs_add(method):
    data = zipped(
        ("b.jpg", b"1"),
        ("folder/", b""),
        ("folder/deep/a.jpg", b"2"),
        ("__MACOSX/._b.jpg", b"x"),
        ("folder/.DS_Store", b"x"),
        ("folder/Thumbs.db", b"x"),
        method=method,
    )

    assert [(image.name, image.data) for image in archive(data)] == [
        ("b.jpg", b"1"),
        ("folder/deep/a.jpg", b"2"),
    ]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("a../" + "b" * 252, "b" * 252),
        ("a" * 9 + "/" + "b" * 254, "b" * 254),
        ("C:evil.jpg", "evil.jpg"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\Users\\me\\photo.jpg", "Users/me/photo.jpg"),
        ("a/./../b.jpg", "a/b.jpg"),
        ("a\r\nb\x00\x1b[31m.jpg", "ab[31m.jpg"),
        ("\u202egpj.exe", "gpj.exe"),
        ("фото 1.jpg", "фото 1.jpg"),
        ("x" * 300, "x" * 255),
        ("..", ""),
    ],
)
def test_names_are_shown_without_harmful_parts(given, shown):
    assert form((given, b"1"))[0].name == shown


def test_an_empty_or_too_large_image_fails_alone():
    for taken in (
        form(("a", b""), ("b", bytes(1001)), ("c", bytes(1000))),
        archive(zipped(("a", b""), ("b", bytes(1001)), ("c", bytes(1000)))),
    ):
        assert [image.failure.kind if image.failure else None for image in taken] == [
            "no-image",
            "image-too-large",
            None,
        ]
        assert [len(image.data) for image in taken] == [0, 0, 1000]


def test_a_job_without_images_is_refused():
    with pytest.raises(EmptyJobError):
        form()
    with pytest.raises(EmptyJobError):
        archive(zipped(("folder/", b""), ("__MACOSX/a", b"x")))


def test_too_many_images_or_bytes_are_refused():
    few, much = [(f"{n}", b"x") for n in range(6)], [(f"{n}", bytes(1000)) for n in range(5)]

    for taken in (lambda: form(*few), lambda: archive(zipped(*few))):
        with pytest.raises(JobTooLargeError, match="5 images"):
            taken()
    for taken in (lambda: form(*much), lambda: archive(zipped(*much))):
        with pytest.raises(JobTooLargeError, match="4000 bytes"):
            taken()


def test_a_bomb_is_unpacked_no_further_than_one_image():
    bomb = zipped(("bomb", bytes(50_000_000)))
    assert len(bomb) < 60_000
    # It declares a small size; its content does not change.
    lying = bytearray(bomb)
    directory = lying.index(b"PK\x01\x02")
    lying[directory + 24 : directory + 28] = struct.pack("<L", 10)

    for data in (bomb, bytes(lying)):
        [image] = archive(data)
        assert image.failure is not None
        assert image.data == b""


def test_members_that_overlap_are_refused():
    """The other kind of bomb: many entries that point to the same data."""
    single = zipped(("a", bytes(1000)))
    start, end = single.index(b"PK\x01\x02"), single.index(b"PK\x05\x06")
    entry, tail = single[start:end], bytearray(single[end:])
    tail[8:12] = struct.pack("<HH", 5, 5)
    tail[12:16] = struct.pack("<L", 5 * len(entry))

    with pytest.raises(ArchiveError, match="overlap"):
        archive(single[:start] + 5 * entry + bytes(tail))


def test_damaged_members_count_as_much_as_was_unpacked():
    """Otherwise a small archive of many damaged members would keep a server unpacking for minutes."""
    data = bytearray(zipped(*((f"{n}", bytes(1000)) for n in range(5))))
    for entry in re.finditer(b"PK\x01\x02", bytes(data)):
        data[entry.start() + 16 : entry.start() + 20] = b"\1\2\3\4"

    with pytest.raises(JobTooLargeError, match="4000 bytes"):
        archive(bytes(data))


def test_images_that_take_long_to_read_are_refused(monkeypatch):
    monkeypatch.setattr(intake, "_LONGEST_SECONDS", -1.0)

    with pytest.raises(JobTooLargeError, match="within"):
        archive(zipped(("a", b"1")))


def test_spooled_images_are_the_same_each_time():
    sent = [("a", b"first"), ("b", b""), ("c", b"third")]

    with spooled(images_in_form([(name, BytesIO(data)) for name, data in sent], LIMITS)) as images:
        first, again = list(images), list(images)

    assert first == again == form(*sent)


def test_a_full_temporary_folder_is_one_sentence():
    class Full(BytesIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(TemporaryFolderError, match="no room"):
        SpooledImages(form(("a", b"1")), Full())


def test_an_archive_that_lists_too_many_files_is_refused_before_its_list_is_read(monkeypatch):
    data = zipped(*((f"{n:0200}", b"") for n in range(300)))
    monkeypatch.setattr(zipfile, "ZipFile", pytest.fail)

    with pytest.raises(JobTooLargeError, match="lists more"):
        archive(data)


def test_a_zip64_directory_cannot_hide_behind_a_small_one():
    data = zipped(("a", b"1"))
    end = data.index(b"PK\x05\x06")
    locator = b"PK\x06\x07" + struct.pack("<LQL", 0, 0, 1)

    with pytest.raises(ArchiveError, match="Zip64"):
        archive(data[:end] + locator + data[end:])


@pytest.mark.parametrize(
    "data",
    [b"", b"text", b"\xff\xd8\xff" * 100, b"PK\x05\x06", b"PK\x05\x06" + bytes(17), b"Rar!\x1a\x07\x00" * 9],
    ids=["empty", "text", "JPEG", "cut off", "one byte short", "RAR"],
)
def test_a_file_that_is_not_an_archive_is_refused(data):
    with pytest.raises(ArchiveError, match="not a zip archive"):
        archive(data)


def test_damage_costs_only_the_images_it_hits():
    sound = zipped(("a", b"first " * 50), ("b", b"second " * 50), method=zipfile.ZIP_STORED)
    hit = sound.replace(b"first first", b"first FIRST", 1)

    first, second = archive(hit)

    assert first.failure.kind == "damaged-image"
    assert second.data == b"second " * 50


def test_any_cut_or_wrong_byte_raises_only_our_own_errors(rng):
    sound = zipped(("a", b"first " * 50), ("b", b"second " * 50))
    for _ in range(300):
        damaged = bytearray(sound[: rng.integers(1, len(sound) + 1)])
        for offset in rng.integers(0, len(damaged), rng.integers(0, 4)):
            damaged[offset] = rng.integers(256)
        with suppress(ArchiveError, EmptyJobError, JobTooLargeError):
            archive(bytes(damaged))


def test_unsupported_members_fail_alone():
    data = bytearray(zipped(("a", b"1"), ("b", b"2")))
    first = data.index(b"PK\x01\x02")
    data[first + 8] |= 1

    assert [image.failure.kind if image.failure else None for image in archive(bytes(data))] == [
        "unsupported-image",
        None,
    ]
    # With this method, the file's header chooses how much memory is used.
    [image] = archive(zipped(("a", b"1"), method=zipfile.ZIP_LZMA))
    assert image.failure.kind == "unsupported-image"
