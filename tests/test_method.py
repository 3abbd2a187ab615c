"""What produced a result is known, and a result of other code is never taken for today's."""

from __future__ import annotations

import ast
import dataclasses
import shutil
import sys
from importlib import resources
from io import BytesIO
from pathlib import Path

import pytest

import samples
from fakes import FakeDetector, fake_app, fresh_store
from samples import write_dataset
from tamperscope import method
from tamperscope.datasets import read_dataset
from tamperscope.errors import ScanError
from tamperscope.evaluation import benchmark
from tamperscope.images import ImageLimits
from tamperscope.method import DetectorOptions, Method, code_digest
from tamperscope.report import BundleIdentity
from tamperscope.scanning.examination import Examination, ScanRow
from tamperscope.scanning.files import Found
from tamperscope.scanning.journal import Journal
from test_architecture import imports, modules

BUNDLE = BundleIdentity("ours", "1", "0" * 64)
# What a report does not depend on: PNG files are written with isal.
# A method names ONNX Runtime's version only if it was used.
WITHOUT_EFFECT = {"isal", "onnxruntime"}
# Runs in a process of its own, so nothing imports it.
C2PA_READER = "tamperscope.evidence._c2pa_reader"
DISTRIBUTIONS = {"cv2": "opencv-python-headless", "PIL": "pillow", "c2pa": "c2pa-python"}


@pytest.fixture
def edited(monkeypatch, tmp_path):
    """Change the package's code, as far as its digest can see, by editing a copy of it."""
    copy = tmp_path / "edited"
    shutil.copytree(
        resources.files("tamperscope"), copy, ignore=shutil.ignore_patterns("*.ttf", "__pycache__")
    )

    def edit(file: str, before: str, after: str) -> None:
        source = copy / file
        text = source.read_text()
        assert before in text
        source.write_text(text.replace(before, after))
        monkeypatch.setattr(method.resources, "files", lambda _: copy)
        code_digest.cache_clear()

    yield edit
    monkeypatch.undo()
    code_digest.cache_clear()


def closure(start: str) -> set[str]:
    found, new = set(), {start}
    while new:
        found |= new
        # Importing a module runs the packages around it as well.
        around = {module.rpartition(".")[0] for module in new if "." in module}
        named = {each.target for each in imports() if each.source in new and not each.for_types}
        new = (around | named) - found
    return found


def test_all_that_the_detector_imports_is_part_of_the_digest():
    package = Path(str(resources.files("tamperscope")))
    digested = {
        path
        for place in method.MEASURING_CODE
        for path in ([package / place] if place.endswith(".py") else (package / place).rglob("*.py"))
    }

    # The face of the package names the detector, and nothing that it imports later can change a report.
    needed = {modules()[module] for module in closure("tamperscope.detector")}

    assert needed - digested == set()
    assert len(needed) > 30


def test_all_libraries_under_the_detector_are_part_of_the_digest():
    used = set()
    for module in closure("tamperscope.detector") | {C2PA_READER}:
        for node in ast.walk(ast.parse(modules()[module].read_text())):
            if isinstance(node, ast.Import):
                used |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                used.add(node.module.split(".")[0])
    libraries = used - sys.stdlib_module_names - {"tamperscope"} - WITHOUT_EFFECT

    assert {DISTRIBUTIONS.get(name, name.replace("_", "-")) for name in libraries} == set(
        method.MEASURING_LIBRARIES
    )


@pytest.mark.parametrize(
    "change",
    [
        {"limits": ImageLimits(pixels=1000)},
        {"pixel_budget": 1000},
        {"precision": "f32"},
        {"use_evidence": False},
        {"trust_list": "another"},
        {"trust_anchors": "another"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_option_that_changes_answers_makes_another_method(change):
    usual, other = DetectorOptions(), dataclasses.replace(DetectorOptions(), **change)

    assert Method.of(BUNDLE, usual).key != Method.of(BUNDLE, other).key


def test_another_device_makes_another_method():
    methods = [Method.of(BUNDLE, DetectorOptions(), device) for device in ("cpu", "CUDA (ONNX Runtime 1)")]

    assert methods[0].key != methods[1].key


def test_a_device_that_was_asked_for_and_is_the_cpu_makes_no_other_method():
    assert Method.of(BUNDLE, DetectorOptions(device="auto")).key == Method.of(BUNDLE, DetectorOptions()).key


def test_how_fast_an_answer_comes_makes_no_other_method(tmp_path):
    fast = DetectorOptions(threads=4, cache=tmp_path)

    assert Method.of(BUNDLE, DetectorOptions()).key == Method.of(BUNDLE, fast).key


def test_every_option_was_thought_of():
    tried = {"limits", "pixel_budget", "precision", "use_evidence", "trust_list", "trust_anchors", "threads"}
    tried |= {"cache", "device"}

    assert {field.name for field in dataclasses.fields(DetectorOptions)} == tried


def test_another_bundle_is_another_method():
    other = dataclasses.replace(BUNDLE, sha256="1" * 64)

    assert Method.of(BUNDLE, DetectorOptions()).key != Method.of(other, DetectorOptions()).key


class TestAnotherConstantInDrawings:
    """The number decides whether a picture gets a verdict at all."""

    EDIT = ("images/drawings.py", "FILLED = 1 / 3", "FILLED = 1 / 4")

    def test_an_image_is_analysed_again_by_the_server(self, edited):
        store, data = fresh_store(), samples.encode(samples.photo(96, 64))

        def post() -> int:
            client = fake_app(detector=FakeDetector(), store=store).test_client()
            return client.post("/v1/analyses", data={"image": (BytesIO(data), "a.png")}).status_code

        before = [post(), post()]
        edited(*self.EDIT)

        assert (before, [post(), post()]) == ([201, 200], [201, 200])

    def test_a_half_done_scan_is_done_again(self, edited, tmp_path, joint_bundle):
        examination = Examination()
        path = tmp_path / "results.jsonl.journal"
        with Journal.open(path, examination.identity(joint_bundle)) as journal:
            journal.add([Found("a.jpg", True), Found("b.jpg", True)])
            journal.add_row("0" * 64, ScanRow(verdict="authentic", score=0.1))
            journal.close_image(journal.pending(0, 1)[0], "0" * 64)
            assert journal.counts() == (1, 2)
        edited(*self.EDIT)

        with Journal.open(path, examination.identity(joint_bundle)) as journal:
            assert journal.counts() == (0, 2)
            assert journal.started_over
            assert not journal.knows("0" * 64)

    def test_a_half_done_evaluation_is_done_again(self, edited, tmp_path):
        samples_ = read_dataset(write_dataset(tmp_path / "set", forged=2, authentic=2)).samples
        tasks = [benchmark.Task(sample) for sample in samples_]

        def analysed(tasks: list[benchmark.Task]) -> int:
            detector = FakeDetector()
            list(benchmark.run(detector, tasks, benchmark.Journal(tmp_path / "measurements.jsonl")))
            count = 0
            while detector.entered.acquire(blocking=False):
                count += 1
            return count

        before = [analysed(tasks[:2]), analysed(tasks)]
        edited(*self.EDIT)

        assert (before, analysed(tasks)) == ([2, 2], 4)


def test_other_options_are_no_reason_to_throw_a_scan_away(tmp_path, joint_bundle):
    path = tmp_path / "results.jsonl.journal"
    with Journal.open(path, Examination().identity(joint_bundle)) as journal:
        journal.add([Found("a.jpg", True)])

    with pytest.raises(ScanError, match="another model or other options"):
        Journal.open(path, Examination(DetectorOptions(use_evidence=False)).identity(joint_bundle))
