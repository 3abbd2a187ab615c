"""What a report says first: the strongest finding, and what to do next."""

from __future__ import annotations

from dataclasses import replace

import pytest

import reports
from tamperscope.documents import findings
from tamperscope.origin import AppliedRule, Origin, OriginKind
from tamperscope.report import Box, CopySource, ManipulationType, Region, ReportRecord, Verdict

LEFT, BOTTOM = Box(4, 40, 30, 30), Box(60, 90, 30, 25)


def region(box: Box, **changes: object) -> Region:
    return Region(**({"box": box, "polygon": corners(box), "area_share": 0.05, "probability": 0.8} | changes))


def corners(box: Box) -> tuple[tuple[int, int], ...]:
    right, bottom = box.x + box.width - 1, box.y + box.height - 1
    return ((box.x, box.y), (right, box.y), (right, bottom), (box.x, bottom))


def pair(*, decided: bool, **agreement: bool) -> tuple[Region, ...]:
    """Return a copy at the bottom of what is on the left; undecided, both are regions."""
    copy = region(BOTTOM, source=CopySource(corners(LEFT), 0.9, decided), agreement=agreement)
    return (copy,) if decided else (region(LEFT, source=CopySource(corners(BOTTOM), 0.1, decided)), copy)


def record(**changes: object) -> ReportRecord:
    return replace(reports.report().record, **({"evidence": {}} | changes))


def finding(found: ReportRecord) -> str:
    return findings.finding(found, findings.named_regions(found))


def steps(found: ReportRecord) -> list[str]:
    return [step.text for step in findings.next_steps(found, findings.named_regions(found))]


class TestACopy:
    def test_a_decided_one_names_copy_and_source(self):
        found = record(regions=pair(decided=True))

        assert finding(found) == (
            "Two regions show the same thing: 1a at the bottom and 1b on the left. 1a is probably the copy."
        )
        assert steps(found)[0].startswith("Compare 1a with 1b at full size.")

    def test_how_it_was_changed_is_told(self):
        details = {"clones": [{"change": "turned by 90 degrees"}]}
        clones = reports.evidence("clones", 0.9, details=details).record
        found = record(regions=pair(decided=True), evidence={"clones": clones})

        assert finding(found).endswith("1a is probably the copy, turned by 90 degrees.")

    def test_jpeg_traces_tell_which_of_two_was_put_in_later(self):
        found = record(regions=pair(decided=False, jpeg_ghosts=True, double_jpeg=True, noise=False))

        assert finding(found) == (
            "Two regions show the same thing: 1a on the left and 1b at the bottom. One is a copy of the "
            "other. Double JPEG compression and JPEG ghosts mark only 1b, so that one was probably put in "
            "later."
        )
        first, second = findings.named_regions(found)
        assert (first.label, first.source_label) == (second.source_label, second.label) == ("1a", "1b")
        assert second.finding == (
            "Repeats 1a; the comparison alone does not tell which of the two is the copy. "
            "JPEG ghosts and double JPEG compression mark it too. Not marked by the noise."
        )

    def test_it_comes_before_a_larger_region_of_the_networks(self):
        found = record(regions=(region(Box(100, 10, 50, 50), area_share=0.2), *pair(decided=True)))

        assert [named.label for named in findings.named_regions(found)] == ["1", "2a"]
        assert "2a at the bottom and 2b on the left" in finding(found)
        assert finding(found).endswith("1 further finding is listed below.")


class TestASingleRegion:
    def test_another_jpeg_history(self):
        found = record(regions=(region(LEFT, agreement={"jpeg_ghosts": True, "noise": True}),))

        assert finding(found) == (
            "A region on the left (1), 5\N{NO-BREAK SPACE}% of the picture, was compressed differently from "
            "the rest, as a part of another picture or a later change would be. The noise marks it too."
        )
        assert steps(found)[0].startswith("Look at region 1 at full size")

    @pytest.mark.parametrize(("share", "named"), [(0.8, True), (0.4, False)])
    def test_the_type_is_named_only_if_it_leads(self, share, named):
        kinds = dict.fromkeys(ManipulationType, (1 - share) / 3) | {ManipulationType.SPLICING: share}
        found = record(regions=(region(LEFT),), type=ManipulationType.SPLICING, type_scores=kinds)

        assert ("another picture that was pasted in" in finding(found)) is named

    def test_without_any_the_heatmap_is_named(self):
        assert "The heatmap shows where" in finding(record(regions=()))


class TestNoManipulation:
    def test_nothing_unusual(self):
        quiet = {name: reports.evidence(name, 0.1).record for name in ("noise", "clones")}
        found = record(verdict=Verdict.AUTHENTIC, regions=(), evidence=quiet)

        assert finding(found) == (
            "No trace of a manipulation was found: 2 measurements, none of them unusual."
        )
        assert "date, place and caption" in steps(found)[0]

    def test_something_unusual_is_named(self):
        loud = {"jpeg_ghosts": reports.evidence("jpeg_ghosts", 0.6).record}
        found = record(verdict=Verdict.AUTHENTIC, regions=(), evidence=loud)

        assert "JPEG ghosts are unusual, which also happens in authentic pictures." in finding(found)

    def test_its_marks_are_minor(self):
        found = record(verdict=Verdict.AUTHENTIC, regions=(region(LEFT), region(BOTTOM)))

        assert all(named.minor and not named.label for named in findings.named_regions(found))
        assert findings.minor_regions(findings.named_regions(found)).startswith("2 weak or tiny marks are")


class TestNoVerdict:
    def test_a_screenshot_leads_to_the_picture_itself(self):
        found = record(verdict=Verdict.INCONCLUSIVE, drawn=True)

        assert finding(found).startswith("This looks like a screenshot")
        assert steps(found)[0].startswith("Find the picture that the screenshot shows")

    def test_the_strongest_trace_is_named(self):
        found = record(verdict=Verdict.INCONCLUSIVE, score=0.5, regions=pair(decided=True))

        assert finding(found).startswith(
            "The traces are too weak for a verdict. The strongest: two regions show the same thing"
        )

    def test_a_declaration_is_not_called_a_weak_trace(self):
        rule = AppliedRule("declared_generated", "The file declares that the picture was generated.")
        origin = Origin(OriginKind.GENERATED, "Declared as generated", rule=rule)
        declared = reports.evidence("metadata", 0.9).record
        noise = reports.evidence("noise", 0.1).record
        found = record(
            verdict=Verdict.INCONCLUSIVE,
            score=0.1,
            origin=origin,
            regions=(),
            evidence={"metadata": declared, "noise": noise},
        )

        assert finding(found) == (
            f"{rule.text} No trace of a manipulation was found: 1 measurement, none of them unusual."
        )
        assert finding(replace(found, score=0.5)) == f"{rule.text} The traces are too weak for a verdict."

    def test_of_a_broken_signature_alone_no_altered_look_is_told(self):
        rule = AppliedRule("changed_after_signing", "The file was changed after it was signed.")
        origin = Origin(OriginKind.CHANGED, "Changed after it was signed", rule=rule)
        found = record(verdict=Verdict.MANIPULATED, score=0.1, origin=origin, regions=())

        assert finding(found) == rule.text

    def test_what_a_trusted_signature_outweighs_is_told(self):
        rule = AppliedRule("signed_capture", "A trusted signer vouches that a camera took this picture.")
        origin = Origin(OriginKind.CAPTURED, "Signed as taken with a camera", rule=rule)
        found = record(verdict=Verdict.INCONCLUSIVE, score=0.95, origin=origin, regions=pair(decided=True))

        assert finding(found).startswith(f"{rule.text} Two regions show the same thing")

    def test_an_uncalibrated_model_gives_none(self):
        found = record(verdict=Verdict.INCONCLUSIVE, operating_points=None, regions=())

        assert finding(found) == "How often this model is wrong is not known, so there is no verdict."


def test_every_report_asks_for_the_original_and_an_older_version():
    for verdict in Verdict:
        found = record(verdict=verdict)
        listed = findings.next_steps(found, findings.named_regions(found))

        assert [step.message for step in listed if step.message] == [findings.REQUEST_FOR_ORIGINAL]
        assert [step.links for step in listed if step.links] == [findings.REVERSE_SEARCH]


def test_of_a_picture_that_declares_a_generator_no_original_is_asked_for():
    found = record(verdict=Verdict.INCONCLUSIVE, origin=Origin(OriginKind.GENERATED, "Declared as generated"))
    listed = findings.next_steps(found, findings.named_regions(found))

    assert "who made the picture" in listed[0].text
    assert not any(step.message for step in listed)
    assert [step.links for step in listed if step.links] == [findings.REVERSE_SEARCH]
