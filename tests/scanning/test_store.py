from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from click.testing import CliRunner
from moto.server import ThreadedMotoServer

from tamperscope.bundle import Bundle
from tamperscope.cli import main
from tamperscope.errors import MissingExtraError, ScanError
from tamperscope.scanning import local
from tamperscope.scanning.files import Exclusion, Skipped, find, read


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(s3_server: str, photos: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a bucket's folder with the photos, a text file and a folder of thumbnails."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "of-the-tests")
    client = boto3.client("s3")
    client.create_bucket(Bucket="uploads")
    for file in photos.iterdir():
        if file.name != "poison.jpg":
            client.upload_file(str(file), "uploads", f"photos/{file.name[0]}/{file.name}")
    client.put_object(Bucket="uploads", Key="photos/notes.txt", Body=b"nothing to see")
    client.upload_file(str(photos / "03.png"), "uploads", "photos/thumbs/03.png")
    yield "s3://uploads/photos"
    client.close()
    resource = boto3.resource("s3").Bucket("uploads")
    resource.objects.all().delete()
    resource.delete()


def test_a_bucket_is_searched_at_any_depth(bucket: str) -> None:
    skipped = Skipped()
    found = {file.path for file in find([bucket], (), skipped, Exclusion(("thumbs", "1*.png")))}
    names = [f"0/{number:02}.png" for number in range(10)]
    assert found == {f"{bucket}/{name}" for name in [*names, "c/copy.png", "a/another.png", "b/broken.png"]}
    assert skipped.count == 3


def test_a_pattern_finds_objects(bucket: str) -> None:
    found = [file.path for file in find([f"{bucket}/0/0[12].png"], (), Skipped())]
    assert sorted(found) == [f"{bucket}/0/01.png", f"{bucket}/0/02.png"]


def test_only_the_beginning_of_a_large_object_is_read(bucket: str, photos: Path) -> None:
    assert read(f"{bucket}/0/01.png", 20) == (photos / "01.png").read_bytes()[:21]


def test_a_scan_of_a_bucket_equals_a_scan_of_its_files(
    joint_bundle: Bundle, bucket: str, photos: Path, tmp_path: Path
) -> None:
    (photos / "poison.jpg").unlink()
    stored = _scan(joint_bundle, tmp_path / "stored.jsonl", bucket, "--exclude", "thumbs")
    on_disk = _scan(joint_bundle, tmp_path / "disk.jsonl", str(photos))

    assert len(stored) == 15
    assert {name: _about_content(row) for name, row in stored.items()} == {
        name: _about_content(row) for name, row in on_disk.items()
    }
    assert stored["05.png"]["path"] == f"{bucket}/0/05.png"


@pytest.fixture
def _ctrl_c_interrupts() -> Iterator[None]:
    """Let SIGINT interrupt this process, as in a terminal.

    A shell without job control starts background commands with SIGINT ignored, and Python keeps it ignored.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c_interrupts")
def test_a_scan_of_a_bucket_continues_where_it_was_stopped(
    joint_bundle: Bundle, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "results.jsonl"
    uninterrupted = _scan(joint_bundle, tmp_path / "whole.jsonl", bucket)
    before: list[str] = []
    again: list[str] = []
    monkeypatch.setattr(local, "read", _recording(before, interrupt_at=6))
    stopped = CliRunner().invoke(main, _command(joint_bundle, out, bucket))
    assert stopped.exit_code == 130, stopped.output
    assert not out.exists()

    monkeypatch.setattr(local, "read", _recording(again))
    assert _scan(joint_bundle, out, bucket) == uninterrupted

    assert len(before) < 16
    # Only images in progress may be read twice.
    assert len(set(before) & set(again)) <= 3
    assert not list(tmp_path.glob("*.journal*"))


def _recording(paths: list[str], interrupt_at: int | None = None) -> Callable[[str, int], bytes]:
    """Return a reader that records the paths it reads, and sends Ctrl-C at number `interrupt_at`."""

    def recording(path: str, limit: int) -> bytes:
        paths.append(path)
        if len(paths) == interrupt_at:
            os.kill(os.getpid(), signal.SIGINT)
        return read(path, limit)

    return recording


def test_an_empty_object_is_read(bucket: str) -> None:
    boto3.client("s3").put_object(Bucket="uploads", Key="photos/empty.png", Body=b"")
    assert read(f"{bucket}/empty.png", 20) == b""


def test_the_row_of_a_missing_object_gives_the_reason(
    joint_bundle: Bundle, bucket: str, tmp_path: Path
) -> None:
    rows = _scan(joint_bundle, tmp_path / "results.jsonl", f"{bucket}/none.png", f"{bucket}/0/01.png")
    assert rows["none.png"]["error"]
    assert rows["01.png"]["error"] is None


def test_the_row_of_a_missing_bucket_gives_the_reason(
    joint_bundle: Bundle, bucket: str, tmp_path: Path
) -> None:
    rows = _scan(joint_bundle, tmp_path / "results.jsonl", "s3://no-such-bucket/photos")
    assert rows["photos"]["error"]


@pytest.mark.parametrize("url", ["gs://bucket/photos", "az://bucket/photos"])
def test_a_store_whose_package_is_missing_says_how_to_install_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    def missing(*_: object, **__: object) -> object:
        raise ImportError

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(MissingExtraError, match="cloud"):
        list(find([url], (), Skipped()))


def test_an_unknown_url_scheme_is_an_error() -> None:
    with pytest.raises(ScanError, match="nothing:// URLs are not supported"):
        list(find(["nothing://bucket"], (), Skipped()))


def _command(bundle: Bundle, out: Path, *arguments: str) -> list[str]:
    fixed = ["scan", "--model", str(bundle.path), "--workers", "1", "--evidence", "off", "--out", str(out)]
    return [*fixed, *arguments]


def _scan(bundle: Bundle, out: Path, *arguments: str) -> dict[str, dict[str, object]]:
    ended = CliRunner().invoke(main, _command(bundle, out, *arguments))
    assert ended.exit_code in (0, 3), ended.output
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    return {str(row["path"]).rpartition("/")[2]: row for row in rows}


def _about_content(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name != "path"}
