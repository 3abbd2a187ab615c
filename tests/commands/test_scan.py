from __future__ import annotations

import html
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

import samples
from tamperscope.bundle import Bundle
from tamperscope.cli import main
from tamperscope.images import read_image


@pytest.fixture
def photos(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Two different images, a copy of one of them, a damaged image, and a text file."""
    folder = tmp_path / "photos"
    (folder / "inner").mkdir(parents=True)
    for name in ("a.png", "inner/b.png"):
        PIL.Image.fromarray(rng.integers(0, 256, (80, 96, 3), np.uint8)).save(folder / name)
    shutil.copy(folder / "a.png", folder / "inner" / "same.png")
    (folder / "broken.jpg").write_bytes(samples.every_format()["JPEG"][:200])
    (folder / "notes.txt").write_text("nothing to see")
    return folder


def scan(bundle: Bundle, *arguments: str | Path, stdin: bytes = b"") -> Result:
    fixed = ["scan", "--model", str(bundle.path), "--workers", "1"]
    return CliRunner().invoke(main, [*fixed, *map(str, arguments)], input=stdin)


def rows(out: Path) -> dict[str, dict[str, object]]:
    found = [json.loads(line) for line in out.read_text().splitlines()]
    return {Path(str(row["path"])).name: row for row in found}


def test_every_image_in_a_folder_has_a_row(joint_bundle: Bundle, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"

    ended = scan(joint_bundle, photos, "--out", out)

    assert ended.exit_code == 3, ended.output
    found = rows(out)
    assert sorted(found) == ["a.png", "b.png", "broken.jpg", "same.png"]
    assert found["a.png"]["error"] is None
    assert found["a.png"]["width"] == 96
    assert found["a.png"]["score"] == found["same.png"]["score"]
    assert found["a.png"]["sha256"] == found["same.png"]["sha256"] != found["b.png"]["sha256"]
    assert found["broken.jpg"]["error"]
    assert found["broken.jpg"]["score"] is None


def test_a_scan_of_a_store_that_cannot_be_listed_leaves_nothing_behind(
    joint_bundle: Bundle, tmp_path: Path
) -> None:
    ended = scan(joint_bundle, "nosuch://bucket/photos", "--out", tmp_path / "results.jsonl")

    assert (ended.exit_code, ended.stderr) == (2, "nosuch:// URLs are not supported.\n")
    assert list(tmp_path.iterdir()) == []


def test_finished_results_are_never_overwritten(joint_bundle: Bundle, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    scan(joint_bundle, photos / "a.png", "--out", out)
    before = out.read_bytes()

    ended = scan(joint_bundle, photos / "inner" / "b.png", "--out", out)

    assert ended.exit_code == 2
    assert "already exists" in ended.output
    assert out.read_bytes() == before


def test_parquet_masks_and_a_summary_page_are_written(
    joint_bundle: Bundle, photos: Path, tmp_path: Path
) -> None:
    out, masks, page = tmp_path / "results.parquet", tmp_path / "masks", tmp_path / "summary.html"

    ended = scan(joint_bundle, photos / "inner", "--out", out, "--masks", masks, "--summary", page, "--json")

    assert ended.exit_code == 0, ended.output
    table = pyarrow.parquet.read_table(out).to_pylist()
    assert {row["sha256"] + ".png" for row in table} == {file.name for file in masks.iterdir()}
    assert all(read_image(file).pixels.shape == (80, 96, 3) for file in masks.iterdir())
    assert "b.png" in page.read_text()
    assert "<script" not in page.read_text()


def test_an_unknown_suffix_of_the_results_is_wrong_usage(
    joint_bundle: Bundle, photos: Path, tmp_path: Path
) -> None:
    ended = scan(joint_bundle, photos, "--out", tmp_path / "results.csv")
    assert ended.exit_code == 2
    assert "parquet" in ended.output


def test_a_declaration_is_told_in_place_of_a_suspected_type(
    joint_bundle: Bundle, photos: Path, tmp_path: Path
) -> None:
    declared, page, out = photos / "declared.png", tmp_path / "summary.html", tmp_path / "results.jsonl"
    said = PIL.PngImagePlugin.PngInfo()
    said.add_text("Software", "Midjourney")
    PIL.Image.new("RGB", (96, 80), "green").save(declared, pnginfo=said)

    ended = scan(joint_bundle, declared, "--out", out, "--summary", page)

    assert rows(out)["declared.png"]["verdict"] == "inconclusive"
    assert ended.stdout.splitlines()[1].endswith("\t\tDeclared as generated with Midjourney")
    assert "Declared as generated with Midjourney" in page.read_text()
    assert "most likely" not in page.read_text()


def test_the_page_says_why_a_file_was_not_analysed(
    joint_bundle: Bundle, photos: Path, tmp_path: Path
) -> None:
    page = tmp_path / "summary.html"
    scan(joint_bundle, photos / "broken.jpg", "--out", tmp_path / "results.jsonl", "--summary", page)
    reason = str(rows(tmp_path / "results.jsonl")["broken.jpg"]["error"])
    assert reason in html.unescape(page.read_text())


def test_excluded_files_and_masks_have_no_row(joint_bundle: Bundle, photos: Path, tmp_path: Path) -> None:
    masks, out = photos / "masks", tmp_path / "results.jsonl"
    masks.mkdir()
    shutil.copy(photos / "a.png", masks / "of-an-earlier-scan.png")

    ended = scan(joint_bundle, photos, "--out", out, "--masks", masks, "--exclude", "broken.*")

    assert ended.exit_code == 0, ended.output
    assert sorted(rows(out)) == ["a.png", "b.png", "same.png"]


@pytest.mark.parametrize(("end", "option"), [("\n", ()), ("\0", ("--null",))])
def test_a_list_on_stdin_is_scanned(
    joint_bundle: Bundle, photos: Path, tmp_path: Path, end: str, option: tuple[str, ...]
) -> None:
    listed = end.join(str(photos / name) for name in ("a.png", "inner/b.png", "gone.png"))
    out = tmp_path / "results.jsonl"

    ended = scan(joint_bundle, "-", *option, "--out", out, stdin=listed.encode())

    assert ended.exit_code == 3
    assert {name: row["error"] for name, row in rows(out).items()} == {
        "a.png": None,
        "b.png": None,
        "gone.png": "There is no such file.",
    }


def test_ctrl_c_stops_a_scan_whose_stdin_is_open_and_silent(
    joint_bundle: Bundle, photos: Path, tmp_path: Path
) -> None:
    # A shell starts what runs in the background with Ctrl-C ignored.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from tamperscope.cli import main; main()"
    )
    options = ["--model", joint_bundle.path, "--workers", "1", "--out", tmp_path / "results.jsonl", "-v"]
    command = [sys.executable, "-c", program, "scan", photos, "-", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        # Once the folder is listed, the names on stdin are.
        while "not an image" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)

        # Not communicate, which would close stdin.
        assert process.wait(60) == 130
        assert "Run the same command again to continue." in process.stderr.read()


def test_an_image_above_the_limit_is_not_analysed(joint_bundle: Bundle, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    ended = scan(joint_bundle, photos / "a.png", "--out", out, "--max-pixels", "2000")
    assert ended.exit_code == 3
    assert "pixels" in str(rows(out)["a.png"]["error"])


def test_a_path_that_is_not_there_is_refused_before_anything_is_written(
    joint_bundle: Bundle, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "results.jsonl"

    ended = scan(joint_bundle, photos, tmp_path / "nope", "--out", out)

    assert ended.exit_code == 2
    assert f"there is no {tmp_path / 'nope'}" in ended.stderr
    assert not out.parent.exists()


def test_a_scan_says_what_it_wrote_what_it_passed_over_and_what_failed(
    joint_bundle: Bundle, photos: Path, tmp_path: Path
) -> None:
    out, page = tmp_path / "results.jsonl", tmp_path / "page.html"

    said = scan(joint_bundle, photos, "--out", out, "--summary", page).stderr

    assert f"{out} has 4 images: " in said
    assert "Other files, skipped: 1 (1 .txt)" in said
    assert f"The page is in {page}" in said
    assert f"{photos / 'broken.jpg'}: " in said


def test_one_image_is_singular(joint_bundle: Bundle, photos: Path, tmp_path: Path) -> None:
    ended = scan(joint_bundle, photos / "a.png", "--out", tmp_path / "results.jsonl")
    assert "results.jsonl has 1 image: " in ended.stderr


def test_quiet_leaves_only_errors_and_verbose_names_what_is_not_an_image(
    joint_bundle: Bundle, photos: Path, tmp_path: Path
) -> None:
    quiet = scan(joint_bundle, photos, "--out", tmp_path / "quiet.jsonl", "-q")
    verbose = scan(joint_bundle, photos, "--out", tmp_path / "verbose.jsonl", "-v")

    assert [line.partition(": ")[0] for line in quiet.stderr.splitlines()] == [str(photos / "broken.jpg")]
    assert f"{photos / 'notes.txt'}: not an image" in verbose.stderr.splitlines()


def test_many_failures_are_not_all_printed(joint_bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    for number in range(7):
        (folder / f"{number}.jpg").write_bytes(samples.every_format()["JPEG"][: 200 + number])

    said = scan(joint_bundle, folder, "--out", tmp_path / "results.jsonl").stderr.splitlines()

    assert len([line for line in said if line.startswith(str(folder))]) == 5
    assert said[-1].startswith("and 2 more")


def test_a_summary_that_cannot_be_written_is_refused_before_the_scan(
    joint_bundle: Bundle, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results.jsonl"

    ended = scan(joint_bundle, photos, "--out", out, "--summary", photos / "notes.txt" / "page.html")

    assert ended.exit_code == 2
    assert "cannot be created" in ended.stderr
    assert not out.exists()
