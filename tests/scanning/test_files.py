from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

import fsspec
import pytest

from tamperscope.errors import ScanError, UnreadableError
from tamperscope.scanning.files import Exclusion, Skipped, find, printable, read

JPEG = b"\xff\xd8\xff\xe0 the start of a JPEG file"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "a.jpg",
        "b.PNG",
        "notes.txt",
        "inner/c.webp",
        "inner/deep/d.jpg",
        "thumbs/a.jpg",
        "unnamed",
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(JPEG if name == "unnamed" else b"content")
    return tmp_path


def paths(folder: Path, sources: Iterable[str | Path], *excluded: str) -> list[str]:
    found = find(map(str, sources), (), Skipped(), Exclusion(excluded))
    return sorted(os.path.relpath(file.path, folder) for file in found)


def test_a_folder_is_searched_at_any_depth(folder: Path) -> None:
    skipped = Skipped()
    found = list(find([str(folder)], (), skipped))
    assert all(file.expected for file in found)
    assert {Path(file.path).name for file in found} == {"a.jpg", "b.PNG", "c.webp", "d.jpg", "unnamed"}
    assert skipped.count == 1


def test_content_makes_an_image_whatever_the_name(tmp_path: Path) -> None:
    for name in ("photo.jpg!large", "download.bin", "IMG_1234"):
        (tmp_path / name).write_bytes(JPEG)
    for name in ("notes.txt", "film.mp4", "README", ".hidden.txt"):
        (tmp_path / name).write_bytes(b"something else")
    (tmp_path / "photo.JFIF").write_bytes(b"damaged, and named as an image")
    passed_over: list[str] = []
    skipped = Skipped(watch=passed_over.append)

    found = {Path(file.path).name for file in find([str(tmp_path)], (), skipped)}

    assert found == {"photo.jpg!large", "download.bin", "IMG_1234", "photo.JFIF"}
    assert skipped.count == 4
    assert skipped.by_suffix == {".txt": 2, ".mp4": 1, "no suffix": 1}
    assert {Path(path).name for path in passed_over} == {"notes.txt", "film.mp4", "README", ".hidden.txt"}


def test_a_pipe_without_a_suffix_does_not_block_the_listing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.txt")
    assert paths(tmp_path, [tmp_path]) == ["pipe"]


def test_folders_and_files_are_excluded_by_name_and_by_path(folder: Path) -> None:
    assert paths(folder, [folder], "thumbs", "*.PNG") == [
        "a.jpg",
        "inner/c.webp",
        "inner/deep/d.jpg",
        "unnamed",
    ]
    assert paths(folder, [folder], f"{folder}/inner/*", "unnamed") == ["a.jpg", "b.PNG", "thumbs/a.jpg"]


@pytest.mark.parametrize("pattern", ["thumbs", "t*", "C:/photos/*", r"C:\photos\*"])
def test_exclusions_apply_to_the_paths_of_windows(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sep", "\\")

    assert Exclusion((pattern,)).covers(r"C:\photos\thumbs")
    assert not Exclusion((pattern,)).covers(r"C:\thumbs\photos")


@pytest.mark.skipif(os.sep != "/", reason="a backslash separates the parts of a path here")
def test_a_backslash_in_a_name_is_no_separator(folder: Path) -> None:
    (folder / r"inner\a.jpg").write_bytes(b"content")
    assert r"inner\a.jpg" in paths(folder, [folder], "a.jpg")


def test_exclusions_apply_to_patterns_too(folder: Path) -> None:
    assert paths(folder, [f"{folder}/**/*.jpg"], "thumbs") == ["a.jpg", "inner/deep/d.jpg"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(folder: Path) -> None:
    (folder / "[1].jpg").write_bytes(b"content")
    assert paths(folder, [folder / "[1].jpg"]) == ["[1].jpg"]


def test_a_folder_that_cannot_be_listed_does_not_stop_the_listing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("inner"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)

    assert paths(folder, [folder]) == ["a.jpg", "b.PNG", "inner", "thumbs/a.jpg", "unnamed"]


def test_a_pipe_is_reported_as_not_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(UnreadableError, match="not a file"):
        read(str(tmp_path / "pipe.jpg"), 10)


def test_reading_stops_one_byte_above_the_limit(folder: Path) -> None:
    assert read(str(folder / "a.jpg"), 3) == b"cont"


def test_names_that_are_not_utf8_are_printable() -> None:
    assert printable(os.fsdecode(b"caf\xe9.jpg")) == "caf\\xe9.jpg"
    assert printable("café.jpg") == "café.jpg"


def test_a_regular_file_that_blocks_is_an_error_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as /proc/kmsg, to which a link may lead."""
    monkeypatch.setattr(stat, "S_ISREG", lambda mode: True)
    os.mkfifo(tmp_path / "a.jpg")
    writer = os.open(tmp_path / "a.jpg", os.O_RDWR)

    with pytest.raises(UnreadableError, match="wait for ever"):
        read(str(tmp_path / "a.jpg"), 10)
    os.close(writer)


def test_a_store_that_cannot_be_reached_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionRefusedError(111, "connection refused")

    monkeypatch.setattr(fsspec.core, "url_to_fs", refuse)
    with pytest.raises(ScanError, match="ftp://nowhere/photos cannot be reached: Connection refused"):
        list(find(["ftp://nowhere/photos"], (), Skipped()))
