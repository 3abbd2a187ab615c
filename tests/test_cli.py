from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from io import BytesIO
from types import SimpleNamespace

import click
import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner, Result

import reports
import samples
import tamperscope.bundle
import tamperscope.detector
from fakes import FakeDetector
from tamperscope.cli import main
from tamperscope.commands import output
from tamperscope.errors import BundleError, CheckpointError
from tamperscope.jobs.model import Submission, SubmittedImage
from tamperscope.jobs.queue import JobQueue
from tamperscope.server.middleware.keys import KeyRing, list_keys
from tamperscope.store import AnalysisStore, Database, StoredPicture, Subject


@pytest.fixture(autouse=True)
def fake_detector(monkeypatch):
    fake = SimpleNamespace(load=lambda *args, **kwargs: FakeDetector())
    monkeypatch.setattr(tamperscope.detector, "Detector", fake)


@pytest.fixture
def photo():
    return PIL.Image.fromarray(samples.photo(96, 64))


@pytest.fixture
def manipulated(tmp_path, photo):
    path = tmp_path / "manipulated.png"
    photo.save(path)
    return path


@pytest.fixture
def authentic(tmp_path, photo):
    path = tmp_path / "authentic.png"
    PIL.Image.fromarray(np.asarray(photo) * np.array([0, 1, 1], np.uint8)).save(path)
    return path


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.jpg"
    path.write_text("This is not an image.\n")
    return path


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], terminal_width=200)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


class TestAnalyze:
    def test_a_pipe_gets_one_row_a_line_with_tabs_between(self, manipulated, authentic):
        result = run("analyze", manipulated, authentic)

        rows = [row.split("\t") for row in result.stdout.splitlines()]
        assert result.exit_code == 0
        assert rows[0] == ["File", "Verdict", "Score", "Type", "Area", "Origin", "Notes"]
        assert [str(manipulated), "manipulated", "0.90", "copymove", "14.1%"] == rows[1][:5]
        assert [str(authentic), "authentic", "0.10", "", "0.0%"] == rows[2][:5]
        assert result.stderr == ""

    def test_the_table_says_that_only_one_of_several_pages_was_analysed(self, photo, tmp_path):
        photo.save(tmp_path / "pages.tif", save_all=True, append_images=[photo])

        assert run("analyze", tmp_path / "pages.tif").stdout.rstrip().endswith("; first of 2 pages")

    def test_an_image_on_stdin_is_analysed(self, manipulated, tmp_path):
        result = CliRunner().invoke(
            main, ["analyze", "-", "--json", "--out", str(tmp_path / "out")], input=manipulated.read_bytes()
        )

        assert (result.exit_code, json.loads(result.stdout)["file"]) == (0, "-")
        assert (tmp_path / "out" / "stdin-mask.png").exists()

    def test_stdin_is_read_once(self):
        result = run("analyze", "-", "-")
        assert result.exit_code == 2
        assert "once" in result.stderr

    def test_a_folder_and_an_address_are_refused_with_what_to_do(self, tmp_path):
        result = run("analyze", tmp_path, "https://example.com/a.jpg")

        folder, address = result.stderr.splitlines()
        assert result.exit_code == 3
        assert f"tamperscope scan {tmp_path} --out" in folder
        assert address.startswith("https://example.com/a.jpg: Web addresses are not fetched.")

    def test_a_report_of_another_kind_is_refused_before_anything_is_written(self, manipulated, tmp_path):
        result = run("analyze", manipulated, "--report", tmp_path / "r.docx", "--out", tmp_path / "out")

        assert result.exit_code == 2
        assert ".html or .pdf, not .docx" in result.stderr
        assert sorted(tmp_path.iterdir()) == [manipulated]

    def test_what_was_written_is_said_unless_quiet(self, manipulated, tmp_path):
        report, out = tmp_path / "r.pdf", tmp_path / "out"

        said = run("analyze", manipulated, "--report", report, "--out", out).stderr.splitlines()

        assert said == [f"4 files in {out}", f"The report is in {report}"]
        assert run("analyze", manipulated, "--report", report, "--out", out, "-q").stderr == ""

    def test_json_for_machines_is_one_report_per_line(self, manipulated, authentic):
        reports = [
            json.loads(line) for line in run("analyze", "--json", manipulated, authentic).stdout.splitlines()
        ]

        assert [report["file"] for report in reports] == [str(manipulated), str(authentic)]
        assert [report["verdict"] for report in reports] == ["manipulated", "authentic"]
        assert reports[0]["image"]["width"] == 96

    def test_out_writes_pictures_and_report(self, manipulated, tmp_path, photo):
        out = tmp_path / "new" / "folder"

        assert run("analyze", manipulated, "--out", out).exit_code == 0

        sizes = {path.name: PIL.Image.open(BytesIO(path.read_bytes())).size for path in out.glob("*.png")}
        assert sizes == dict.fromkeys(
            ["manipulated-mask.png", "manipulated-overlay.png", "manipulated-heatmap.png"], photo.size
        )
        assert json.loads((out / "manipulated.json").read_text())["verdict"] == "manipulated"

    def test_out_keeps_the_results_of_equal_names_apart(self, tmp_path, photo, monkeypatch):
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            photo.save(tmp_path / folder / "photo.png")
        photo.save(tmp_path / "photo-2.png")
        monkeypatch.chdir(tmp_path)

        assert run("analyze", "a/photo.png", "photo-2.png", "b/photo.png", "--out", "out").exit_code == 0

        files = {json.loads(path.read_text())["file"] for path in (tmp_path / "out").glob("*.json")}
        assert files == {"a/photo.png", "photo-2.png", "b/photo.png"}

    def test_out_keeps_the_results_of_names_that_differ_in_case_apart(self, tmp_path, photo, monkeypatch):
        for name in ("a/IMG.png", "b/img.png"):
            (tmp_path / name).parent.mkdir()
            photo.save(tmp_path / name)
        monkeypatch.chdir(tmp_path)

        assert run("analyze", "a/IMG.png", "b/img.png", "--out", "out").exit_code == 0

        assert {path.name for path in (tmp_path / "out").glob("*.json")} == {"IMG.json", "img-2.json"}

    def test_a_folder_that_cannot_be_written_is_wrong_usage(self, manipulated, text):
        result = run("analyze", manipulated, "--out", text / "below a file")

        assert result.exit_code == 2
        assert "cannot be written" in result.stderr

    def test_an_unreadable_file_is_named_and_the_others_are_analysed(self, text, manipulated, tmp_path):
        missing = tmp_path / "missing.png"

        result = run("analyze", "--json", text, missing, tmp_path, manipulated)

        assert result.exit_code == 3
        assert [json.loads(line)["file"] for line in result.stdout.splitlines()] == [str(manipulated)]
        complaints = result.stderr.splitlines()
        assert [line.split(": ")[0] for line in complaints] == [str(text), str(missing), str(tmp_path)]
        assert complaints[1].endswith("No such file or directory.")

    @pytest.mark.parametrize(("name", "start"), [("r.html", b"<!DOCTYPE html>"), ("new/r.PDF", b"%PDF-")])
    def test_the_report_of_one_image_is_the_named_file(self, manipulated, tmp_path, name, start):
        assert run("analyze", manipulated, "--report", tmp_path / name).exit_code == 0

        assert (tmp_path / name).read_bytes().startswith(start)

    def test_a_report_contains_neither_name_nor_folder_of_the_image(self, manipulated, tmp_path):
        run("analyze", manipulated, "--report", tmp_path / "report.html")

        report = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert manipulated.name not in report
        assert str(tmp_path) not in report

    def test_a_report_holds_what_a_person_adds(self, manipulated, tmp_path):
        added = ("--title", "The flood", "--case", "2026/7", "--tag", "water", "--region-note", "1", "A car")

        result = run("analyze", manipulated, "--json", "--report", tmp_path / "report.html", *added)

        report = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert all(text in report for text in ("The flood", "2026/7", "water"))
        case = json.loads(result.stdout)["case"]
        assert (case["title"], case["region_notes"]) == ("The flood", {"1": "A car"})
        assert run("analyze", manipulated, *added).exit_code == 2

    def test_a_note_on_a_region_that_no_image_has_is_named(self, manipulated, tmp_path):
        notes = ("--region-note", "1a", "A car", "--region-note", "9z", "A boat")

        result = run("analyze", manipulated, "--report", tmp_path / "report.html", *notes)

        assert "No image has a marked region 9z, so its note is in no report." in result.stderr
        assert "region 1a," not in result.stderr
        assert "A car" in (tmp_path / "report.html").read_text(encoding="utf-8")

    def test_the_title_names_the_file_where_that_is_wanted(self, manipulated, tmp_path):
        run("analyze", manipulated, "--report", tmp_path / "report.html", "--title", "Evidence {file}")

        report = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert f"Evidence {manipulated.name}" in report

    def test_reports_of_several_images_fill_a_folder(self, manipulated, authentic, text, tmp_path):
        out = tmp_path / "reports"

        assert run("analyze", manipulated, authentic, text, "--report", out).exit_code == 3

        names = {"manipulated.html", "manipulated.pdf", "authentic.html", "authentic.pdf"}
        assert {path.name for path in out.iterdir()} == names
        assert "No manipulation found" in (out / "authentic.html").read_text(encoding="utf-8")

    def test_one_report_file_for_several_images_is_wrong_usage(self, manipulated, authentic, tmp_path):
        result = run("analyze", manipulated, authentic, "--report", tmp_path / "report.pdf")

        assert result.exit_code == 2
        assert "name a folder" in result.stderr
        assert not (tmp_path / "report.pdf").exists()

    def test_a_report_that_cannot_be_written_is_wrong_usage(self, manipulated, text):
        result = run("analyze", manipulated, "--report", text / "report.pdf")

        assert result.exit_code == 2
        assert "cannot be written" in result.stderr

    @pytest.mark.parametrize(
        ("fail_on", "exit_code"), [((), 0), (("inconclusive",), 0), (("inconclusive", "manipulated"), 1)]
    )
    def test_fail_on_a_verdict(self, manipulated, authentic, fail_on, exit_code):
        options = [part for verdict in fail_on for part in ("--fail-on", verdict)]

        assert run("analyze", manipulated, authentic, *options).exit_code == exit_code

    def test_an_unreadable_file_takes_precedence_over_fail_on(self, manipulated, text):
        assert run("analyze", manipulated, text, "--fail-on", "manipulated").exit_code == 3

    def test_a_missing_bundle_is_one_sentence(self, manipulated, monkeypatch):
        def load(*args, **kwargs):
            raise BundleError("model is not a bundle: it has no bundle.json.")

        monkeypatch.setattr(tamperscope.detector, "Detector", SimpleNamespace(load=load))

        result = run("analyze", manipulated)

        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == "model is not a bundle: it has no bundle.json.\n"


class TestServe:
    def test_options_and_environment_reach_the_server(self, monkeypatch):
        served = []
        monkeypatch.setattr("tamperscope.server.serve.run", lambda settings, say: served.append(settings))
        monkeypatch.setenv("TAMPERSCOPE_QUEUE", "3")

        assert run("serve", "--port", "8000", "--cors-origins", "none").exit_code == 0
        assert (served[0].port, served[0].queue, served[0].cors_origins) == (8000, 3, ())

    def test_a_bad_value_is_one_sentence(self):
        result = run("serve", "--port", "http")

        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == "--port is 'http', but it must be a whole number from 0 to 65535.\n"

    def test_help_shows_every_default_and_no_secret(self):
        text = " ".join(run("serve", "--help").stdout.split())

        assert "[env var: TAMPERSCOPE_PORT; default: 5000]" in text
        assert "--ngrok-token" not in text


class TestKeys:
    def test_a_key_is_printed_once_and_opens(self, tmp_path):
        file = tmp_path / "keys.json"

        first = run("keys", "create", "newsroom", "--file", file)
        second = run("keys", "create", "operator", "--file", file, "--admin")

        assert (first.exit_code, second.exit_code) == (0, 0)
        ring = KeyRing.read(file)
        assert ring.find(first.stdout.strip()).name == "newsroom"
        assert ring.find(second.stdout.strip()).admin

    def test_keys_are_listed_and_revoked(self, tmp_path):
        file = tmp_path / "keys.json"
        run("keys", "create", "newsroom", "--file", file, "--days", "30")
        run("keys", "create", "operator", "--file", file, "--admin")

        listed = run("keys", "list", "--file", file).stdout.splitlines()
        assert [line.split()[0] for line in listed] == ["name", "newsroom", "operator"]
        assert "never" not in listed[1]
        assert "never administrator" in " ".join(listed[2].split())

        assert run("keys", "revoke", "newsroom", "--file", file).exit_code == 0
        assert "newsroom" not in run("keys", "list", "--file", file).stdout

    def test_keys_are_listed_with_what_is_stored_for_them(self, tmp_path):
        file, database = tmp_path / "keys.json", Database(f"sqlite:///{tmp_path / 'analyses.db'}")
        run("keys", "create", "newsroom", "--file", file)
        run("keys", "create", "claims", "--file", file)
        [newsroom, _] = list_keys(file)
        subject = Subject(newsroom.owner, image_sha256="a" * 64, bundle_sha256="b" * 64, method="tests")
        database.migrate()
        AnalysisStore(database).add(
            subject, reports.report().record, {"mask": StoredPicture("image/png", bytes(2_000_000))}
        )

        columns, *rows = run(
            "keys", "list", "--file", file, "--database", f"sqlite:///{tmp_path / 'analyses.db'}"
        ).stdout.splitlines()

        assert columns.split("\t")[3:5] == ["analyses", "MB stored"]
        assert [row.split("\t")[3:5] for row in rows] == [["1", "2.0"], ["0", "0.0"]]

    def test_what_a_revoked_key_stored_is_listed_and_erased(self, tmp_path):
        file, url = tmp_path / "keys.json", f"sqlite:///{tmp_path / 'analyses.db'}"
        database = Database(url)
        database.migrate()
        for name in ("newsroom", "claims"):
            run("keys", "create", name, "--file", file)
        newsroom, claims = (key.owner for key in list_keys(file))
        store, jobs = AnalysisStore(database), JobQueue(database)
        for owner in (newsroom, claims, ""):
            subject = Subject(owner, image_sha256="a" * 64, bundle_sha256="b" * 64, method="tests")
            store.add(
                subject, reports.report().record, {"mask": StoredPicture("image/png", bytes(2_000_000))}
            )
        jobs.submit(Submission(newsroom), [SubmittedImage("a.jpg", b"a")])

        by_name = run("keys", "erase", "newsroom", "--file", file, "--database", url)
        refused = run("keys", "erase", newsroom, "--file", file, "--database", url)
        revoked = run("keys", "revoke", "newsroom", "--file", file)
        *_, unowned, left = run("keys", "list", "--file", file, "--database", url).stdout.splitlines()
        erased = run("keys", "erase", newsroom, "--file", file, "--database", url)

        assert (by_name.exit_code, refused.exit_code) == (2, 2)
        assert "'newsroom' is the name of a key; revoke it" in by_name.stderr
        assert "revoke it first" in refused.stderr
        assert newsroom in revoked.stderr
        assert unowned.split("\t") == ["-", "", "", "1", "2.0", "without a key"]
        assert left.split("\t") == [newsroom, "", "", "1", "2.0", "not in the file"]
        assert "Deleted 1 analysis and 1 job." in erased.stderr
        assert set(store.usage_by_owner()) == {claims, ""}
        assert run("keys", "erase", newsroom, "--file", file, "--database", url).exit_code == 2

    def test_listing_keys_does_not_create_a_database(self, tmp_path):
        run("keys", "create", "newsroom", "--file", tmp_path / "keys.json")

        done = run(
            "keys", "list", "--file", tmp_path / "keys.json", "--database", f"sqlite:///{tmp_path / 'no.db'}"
        )

        assert done.exit_code == 2
        assert "There is no database" in done.stderr
        assert not (tmp_path / "no.db").exists()

    def test_a_name_that_is_taken_is_one_sentence(self, tmp_path):
        for expected in (0, 2):
            result = run("keys", "create", "newsroom", "--file", tmp_path / "keys.json")
            assert result.exit_code == expected

        assert result.stdout == ""
        assert "choose another name" in result.stderr


class TestImportCheckpoint:
    ARGUMENTS = ("import-checkpoint", "--segmentation", "a.pth", "--classification", "b.pth", "--out", "mine")

    @pytest.fixture
    def importer(self, monkeypatch):
        def install(function):
            module = SimpleNamespace(import_checkpoints=function, PairOptions=lambda *_: None)
            monkeypatch.setitem(sys.modules, "tamperscope.network.checkpoints", module)

        return install

    def test_it_prints_how_to_use_the_bundle(self, importer):
        importer(lambda segmentation, classification, out, **_: SimpleNamespace(path=out, networks=()))

        result = run(*self.ARGUMENTS)

        assert result.exit_code == 0
        assert "tamperscope serve --model mine" in result.stdout

    def test_a_refused_checkpoint_is_one_sentence(self, importer):
        def refuse(segmentation, *_, **__):
            raise CheckpointError(f"{segmentation} is not a checkpoint.")

        importer(refuse)

        result = run(*self.ARGUMENTS)

        assert (result.exit_code, result.stderr) == (2, "a.pth is not a checkpoint.\n")

    def test_without_pytorch_it_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "torch", None)
        for name in [name for name in sys.modules if name.startswith("tamperscope.network")]:
            monkeypatch.delitem(sys.modules, name)

        result = run(*self.ARGUMENTS)

        assert result.exit_code == 2
        assert "pip install 'tamperscope[train]'" in result.stderr


class TestModels:
    @pytest.fixture
    def bundles(self, tmp_path, monkeypatch):
        """Two folders that look like bundles; the one named `altered` does not verify."""
        for name in ("good", "altered"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "bundle.json").write_text("{}")

        def load(path):
            if path.name == "altered":
                raise BundleError(f"{path} was altered.")
            return SimpleNamespace(
                name="mine", version="2", networks=(SimpleNamespace(name="joint"),), calibration=None
            )

        monkeypatch.setattr(tamperscope.bundle, "Bundle", SimpleNamespace(load=load))
        monkeypatch.setenv("TAMPERSCOPE_MODEL", str(tmp_path / "good"))
        return tmp_path

    def test_the_default_model_is_listed_in_a_table(self, bundles):
        result = run("models")

        assert result.exit_code == 0
        assert result.stdout.splitlines()[1].split("\t") == [
            str(bundles / "good"), "mine", "2", "0.0", "joint", "no",
        ]  # fmt: skip

    def test_an_altered_bundle_is_named_in_addition_to_the_good_ones(self, bundles):
        result = run("models", bundles, "--json")

        assert result.exit_code == 3
        assert [json.loads(line)["path"] for line in result.stdout.splitlines()] == [str(bundles / "good")]
        assert "altered" in result.stderr

    def test_a_folder_without_bundles_is_wrong_usage(self, tmp_path, monkeypatch):
        monkeypatch.setenv("TAMPERSCOPE_MODEL", str(tmp_path))

        result = run("models")

        assert result.exit_code == 2
        assert "no bundle" in result.stderr


class TestTable:
    """On a terminal, which a test has to pretend."""

    ROWS = (
        (
            "/archive/2026/incoming/WhatsApp Image 2026-11-25 at 09.41.00 [1].jpeg",
            "manipulated",
            "long " * 30,
        ),
        ("short.jpg", "authentic", ""),
    )

    @pytest.fixture
    def terminal(self, monkeypatch, capsys):
        def shown(columns: int) -> list[str]:
            monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
            monkeypatch.setenv("COLUMNS", str(columns))
            monkeypatch.setenv("NO_COLOR", "1")
            output.table(("File", "Verdict", "Notes"), self.ROWS, path_first=True)
            return click.unstyle(capsys.readouterr().out).splitlines()

        return shown

    def test_a_long_path_keeps_both_ends_on_one_line(self, terminal):
        lines = terminal(80)

        assert max(map(len, lines)) <= 80
        assert lines[1].startswith("/archive/")
        assert "[1].jpeg" in lines[1]
        assert "manipulated" in lines[1]
        assert [line for line in lines if line.startswith("short.jpg  ")]

    def test_sentences_fold_so_that_verdict_and_score_stay_whole(self, monkeypatch, capsys):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", "80")
        columns = ("File", "Verdict", "Score", "Type", "Area", "Origin", "Notes")
        row = ("/a/long/path/photo.jpg", "manipulated", "0.97", "inpainting", "12.5%", *["words " * 9] * 2)
        output.table(columns, [row], path_first=True)

        lines = click.unstyle(capsys.readouterr().out).splitlines()
        assert "manipulated  0.97   inpainting  12.5%" in lines[1]
        assert "\n".join(lines).count("words") == 18
        assert max(map(len, lines)) <= 80

    def test_a_path_that_fits_is_whole(self, terminal):
        assert terminal(300)[1].startswith(self.ROWS[0][0])

    def test_a_tab_in_a_name_does_not_make_a_column(self, capsys):
        output.table(("File", "Verdict"), [("a\tb\nc.jpg", "authentic")])
        assert capsys.readouterr().out.splitlines()[1] == "a b c.jpg\tauthentic"


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
    def test_the_script_of_each_shell_completes_this_program(self, shell):
        result = run("completion", shell)
        assert result.exit_code == 0
        assert "_TAMPERSCOPE_COMPLETE" in result.stdout

    def test_it_is_installed_below_the_home_folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("SHELL", "/usr/bin/fish")

        result = run("completion", "--install")

        written = tmp_path / ".config" / "fish" / "completions" / "tamperscope.fish"
        assert str(written) in result.stderr
        assert written.read_text() == run("completion", "fish").stdout

    def test_an_unknown_shell_is_wrong_usage(self, monkeypatch):
        monkeypatch.setenv("SHELL", "/usr/bin/pwsh")
        result = run("completion")
        assert result.exit_code == 2
        assert "bash, fish, zsh" in result.stderr


def test_without_a_command_the_help_lists_every_command_uncut():
    result = run()
    assert result.exit_code == 0
    assert set(main.commands) <= set(re.findall(r"^  ([a-z-]+)  ", result.stdout, re.MULTILINE))
    assert "..." not in result.stdout.partition("Look at images")[2]
    assert "Exit codes:" in result.stdout


def test_ctrl_c_has_the_exit_code_of_shells(monkeypatch, manipulated):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tamperscope.detector, "Detector", SimpleNamespace(load=stop))
    result = run("analyze", manipulated)
    assert (result.exit_code, result.stderr) == (130, "Stopped.\n")


@pytest.mark.parametrize("arguments", [["completion", "bash"], ["models", "--help"], ["--version"]])
@pytest.mark.parametrize("stderr_too", [False, True])
def test_output_that_nobody_reads_has_the_exit_code_of_shells(arguments, stderr_too):
    reading, writing = os.pipe()
    os.close(reading)
    stderr = writing if stderr_too else subprocess.PIPE
    command = [sys.executable, "-m", "tamperscope", *arguments]

    done = subprocess.run(command, stdout=writing, stderr=stderr, check=False)

    os.close(writing)
    assert (done.returncode, done.stderr or b"") == (141, b"")


@pytest.mark.parametrize(
    "command",
    [
        "completion",
        "serve",
        "analyze",
        "synthesize",
        "dataset",
        "train",
        "release",
        "evaluate",
        "import-checkpoint",
        "quantize",
        "models",
        "keys",
    ],
)
def test_every_help_has_an_example(command):
    assert f"\n    tamperscope {command}" in run(command, "--help").stdout


def test_the_module_runs_and_help_imports_nothing_slow():
    script = (
        "import runpy, sys; sys.argv = ['tamperscope', '--help']\n"
        "try: runpy.run_module('tamperscope', run_name='__main__')\n"
        "finally: print(sorted({'torch', 'openvino', 'cv2', 'flask', 'rich'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("Usage: tamperscope ")
    assert done.stdout.endswith("[]\n")
