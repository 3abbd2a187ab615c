from __future__ import annotations

import base64
import json
from dataclasses import replace
from io import BytesIO

import numpy as np
import PIL.Image
import pytest

import samples
from reports import NOON, PICTURE, authentic, evidence, report
from tamperscope.documents import Maps, ReportDocument
from tamperscope.documents.document import MOST_FACTS
from tamperscope.images import rendering
from tamperscope.report import (
    Box,
    CopySource,
    ManipulationType,
    Reason,
    Region,
    Report,
    ReportRecord,
    Verdict,
)


def document(found: Report, **options: object) -> ReportDocument:
    return ReportDocument.of(found, PICTURE, made_at=NOON, **options)


class TestVerdict:
    def test_manipulated_states_how_many_authentic_images_score_as_high(self):
        result = document(report())

        assert result.headline == "Manipulated"
        assert "0.90 is above 0.80" in result.meaning
        assert "2\N{NO-BREAK SPACE}% of the authentic images" in result.meaning

    def test_authentic_claims_no_proof_and_names_no_type(self):
        result = document(authentic())

        assert result.headline == "No manipulation found"
        assert "10\N{NO-BREAK SPACE}% of the manipulated images" in result.meaning
        assert result.meaning.endswith("proves nothing.")
        assert result.kinds == ()

    def test_inconclusive_lies_between_both_limits(self):
        result = document(report(verdict=Verdict.INCONCLUSIVE, score=0.5))

        assert result.headline == "Inconclusive"
        assert "0.50 lies between 0.25 and 0.80" in result.meaning

    @pytest.mark.parametrize(
        ("verdict", "score", "told"),
        [
            (Verdict.AUTHENTIC, 0.2478, "0.248 is below 0.250"),
            (Verdict.INCONCLUSIVE, 0.7996, "0.7996 lies between 0.2500 and 0.8000"),
            (Verdict.MANIPULATED, 0.8012, "0.801 is above 0.800"),
        ],
    )
    def test_a_score_close_to_a_limit_does_not_read_as_equal_to_it(self, verdict, score, told):
        assert told in document(report(verdict=verdict, score=score)).meaning

    def test_a_score_beyond_the_limits_explains_why_it_allows_no_verdict(self):
        result = document(report(verdict=Verdict.INCONCLUSIVE, score=0.95))

        assert result.headline == "Inconclusive"
        assert "this picture does not appear to be one" in result.meaning

    def test_without_calibration_no_error_rate_is_claimed(self):
        result = document(report(verdict=Verdict.INCONCLUSIVE, operating_points=None))

        assert "allows no verdict" in result.meaning
        assert "The error rates of this model are unknown." in result.limits
        assert not any("%" in text for text in (result.meaning, *result.limits))

    def test_limits_state_the_bundles_own_error_rates(self):
        rates = " ".join(document(report()).limits)

        assert "89 authentic and 151 manipulated images" in rates
        assert "2\N{NO-BREAK SPACE}% of the former" in rates
        assert "10\N{NO-BREAK SPACE}% of the latter" in rates


class TestEvidence:
    def test_notable_evidence_comes_first_and_the_rest_keeps_its_order(self):
        items = (evidence("a", 0.1), evidence("b", 0.6), evidence("c", 0.3), evidence("d", 0.95))
        result = document(report(evidence={item.name: item for item in items}))

        assert [(section.title, section.strength) for section in result.evidence] == [
            ("D", "very unusual"),
            ("B", "unusual"),
            ("A", "nothing unusual"),
            ("C", "slightly unusual"),
        ]

    def test_what_could_not_be_measured_is_listed_with_the_reason(self):
        result = document(report())

        assert [(fact.label, fact.value) for fact in result.inapplicable] == [
            ("Absent", "Only JPEG files have it.")
        ]

    def test_a_map_becomes_a_figure_unless_it_is_empty(self):
        blank = evidence("blank", 0.0, map=np.zeros(PICTURE.shape[:2], np.float32))
        result = document(report(evidence={**report().evidence, "blank": blank}))

        assert {section.title: len(section.figures) for section in result.evidence} == {
            "JPEG trace": 1,
            "Quiet": 0,
            "Blank": 0,
        }

    def test_details_become_rows_without_outlines(self):
        details = {
            "fields": [{"name": "Camera model", "value": "X1"}],
            "clones": [
                {"target": {"box": {"x": 1, "y": 2, "width": 10, "height": 20}, "polygon": [[1, 2], [3, 4]]}},
                {"matches": 7},
            ],
            "quality": 90,
            "shares": [0.25, 0.5],
            "exact": True,
            "nothing": None,
            "located": True,
        }
        result = document(report(evidence={"it": evidence("it", 0.2, details=details)}))

        assert [(fact.label, fact.value) for fact in result.evidence[0].facts] == [
            ("Camera model", "X1"),
            ("Clone 1 target box", "x\N{NO-BREAK SPACE}1–10, y\N{NO-BREAK SPACE}2–21"),
            ("Clone 2 matches", "7"),
            ("Quality", "90"),
            ("Shares", "0.25, 0.5"),
            ("Exact", "yes"),
        ]

    def test_endless_details_are_cut(self):
        details = {f"field {number}": number for number in range(10_000)}
        result = document(report(evidence={"it": evidence("it", 0.2, details=details)}))

        assert len(result.evidence[0].facts) == MOST_FACTS

    def test_the_embedded_preview_is_shown(self):
        encoded = base64.b64encode(samples.encode(samples.photo(40, 30), "PNG")).decode()
        details = {"preview": {"differs": True, "picture": f"data:image/png;base64,{encoded}"}}
        result = document(report(evidence={"metadata": evidence("metadata", 0.8, details=details)}))

        assert [figure.title for figure in result.evidence[0].figures] == ["Embedded preview"]
        assert [fact.label for fact in result.evidence[0].facts] == ["Preview differs"]

    def test_the_previews_of_ingredients_are_shown(self):
        encoded = base64.b64encode(samples.encode(samples.photo(40, 30), "PNG")).decode()
        part = {"title": "before.jpg", "picture": f"data:image/png;base64,{encoded}"}
        details = {"parts": [part, {"title": "other.jpg", "picture": ""}]}
        result = document(report(evidence={"provenance": evidence("provenance", 0.0, details=details)}))

        assert [figure.title for figure in result.evidence[0].figures] == ["Made from: before.jpg"]
        assert [fact.value for fact in result.evidence[0].facts] == ["before.jpg", "other.jpg"]


class TestPictures:
    def test_original_marked_regions_and_heatmap(self):
        result = document(report())

        assert [figure.title for figure in result.figures] == ["Picture", "Marked regions", "Heatmap"]
        assert np.abs(decoded(result, 0) - resized(PICTURE, decoded(result, 0).shape)).mean() < 5

    def test_the_picture_is_dimmed_outside_the_marked_regions(self):
        region = replace(report().regions[0], source=None)
        result = document(report(regions=(region,)))
        marked, plain = decoded(result, 1), decoded(result, 0)
        height, width = plain.shape[:2]
        outside = np.s_[height * 3 // 5 :]
        inside = np.s_[height // 8 + 12 : height // 4, width // 8 + 12 : width // 4]

        assert marked[outside].mean() == pytest.approx(0.7 * plain[outside].mean(), rel=0.02)
        assert np.abs(marked[inside] - plain[inside]).mean() < 8

    def test_without_regions_nothing_is_marked(self):
        assert [figure.title for figure in document(authentic()).figures] == ["Picture", "Heatmap"]

    def test_without_the_picture_the_mask_shows_the_regions(self):
        result = ReportDocument.of(report(), made_at=NOON)

        assert [figure.title for figure in result.figures] == ["Marked regions", "Heatmap"]
        assert "was not kept" in result.figures[0].caption

    @pytest.mark.parametrize(("width", "height"), [(4000, 40), (40, 4000), (2000, 1500)])
    def test_large_pictures_are_scaled_down(self, width, height):
        picture = samples.photo(width, height)
        mask = np.zeros((height, width), bool)
        facts = replace(report().image, width=width, height=height)
        found = report(mask=mask, heatmap=mask.astype(np.float32), image=facts)
        result = ReportDocument.of(found, picture, made_at=NOON)

        for figure in result.figures:
            image = PIL.Image.open(BytesIO(figure.picture.data))
            assert image.size == (figure.picture.width, figure.picture.height)
            assert max(image.size) <= 1200

    def test_the_source_of_a_copy_is_named_and_dashed(self):
        source = CopySource(((100, 70), (150, 70), (150, 110)), 0.75, decided=True)
        region = replace(report().regions[0], type=ManipulationType.COPYMOVE, source=source)
        result = document(report(regions=(region,)))

        assert (result.regions[0].label, result.regions[0].source) == (
            "1a",
            "1b: x\N{NO-BREAK SPACE}100–150, y\N{NO-BREAK SPACE}70–110",
        )
        assert "Dashed: the likely source of a copy" in result.figures[1].caption
        picture = decoded(result, 1)
        scale = picture.shape[1] / PICTURE.shape[1]
        edge = picture[int(70.5 * scale), int(103 * scale) : int(147 * scale)].min(axis=1)
        assert (edge > 200).any()
        assert (edge < 150).any()

    def test_an_undecided_pair_is_joined_and_not_dashed(self):
        one, other = report().regions[0], Box(100, 70, 51, 41)
        corners = ((100, 70), (150, 70), (150, 110))
        pair = (
            replace(one, source=CopySource(corners, 0.6, decided=False)),
            replace(one, box=other, polygon=corners, source=CopySource(one.polygon, 0.4, decided=False)),
        )
        result = document(report(regions=pair))

        assert [region.label for region in result.regions] == ["1a", "1b"]
        assert "Dashed" not in result.figures[1].caption
        assert "A line without a tip" in result.figures[1].caption

    def test_minor_regions_are_counted_and_not_drawn(self):
        speck = replace(report().regions[0], area_share=0.0002, source=None)
        result = document(report(regions=(*report().regions, speck)))

        assert [region.label for region in result.regions] == ["1a"]
        assert result.left_out.startswith("1 weak or tiny mark is left out")

    def test_hints_are_not_counted_as_minor_regions(self):
        found = report()

        assert document(replace(found, regions=(), hints=found.regions)).left_out == ""

    def test_outlines_fit_the_picture_where_maps_are_smaller(self):
        """Maps from the store are smaller than the picture."""
        whole = document(report())
        found = report()
        small = Maps(found.mask[::2, ::2], found.heatmap[::2, ::2], {}, PICTURE)
        stored = ReportDocument.of_record(found.record, small, made_at=NOON)

        assert np.abs(decoded(stored, 1) - decoded(whole, 1)).mean() < 1


class TestStored:
    def test_a_stored_report_reads_the_same_as_a_new_one(self):
        found = report()
        kept = ReportRecord.from_json(json.loads(json.dumps(found.to_json())))
        maps = Maps.from_files(
            mask=rendering.encode_png(rendering.mask_image(found.mask)),
            heatmap=grey(found.heatmap),
            evidence={"jpeg_trace": grey(found.evidence["jpeg_trace"].map)},
            picture=PICTURE,
        )

        stored, fresh = ReportDocument.of_record(kept, maps, made_at=NOON), document(found)

        assert replace(stored, figures=(), evidence=()) == replace(fresh, figures=(), evidence=())
        assert [figure.title for figure in stored.figures] == [figure.title for figure in fresh.figures]
        assert stored.evidence[0].figures[0].title == "JPEG trace"
        assert np.abs(decoded(stored, 2) - decoded(fresh, 2)).max() <= 8

    def test_an_older_report_has_no_operating_points(self):
        kept = report().to_json()
        del kept["operating_points"]
        result = ReportDocument.of_record(ReportRecord.from_json(kept), Maps.of(report(), None), made_at=NOON)

        assert result.operating_points is None

    def test_thresholds_versions_and_reasons_are_included(self):
        kept = report().to_json() | {
            "threshold": 0.2,
            "versions": {"tamperscope": "9.8", "other": "1"},
            "reasons": [{"name": "clones", "effect": 1.2, "text": "As an earlier version worded it."}],
        }
        result = ReportDocument.of_record(ReportRecord.from_json(kept), Maps.of(report(), None), made_at=NOON)

        assert "at least 0.20" in result.figures[0].caption
        assert [fact.value for fact in result.facts][-2:] == ["tamperscope 9.8", "other 1"]
        assert result.reasons == (Reason("clones", 1.2).text,)


def test_an_accelerator_is_named():
    found = replace(report(), device="CUDA (ONNX Runtime 1)")

    assert [fact.value for fact in document(found).facts if "ran on" in fact.label] == [found.device]


def test_identity_of_file_and_model():
    facts = {fact.label: fact.value for fact in document(report()).facts}

    assert facts["SHA-256"] == report().image.sha256
    assert facts["Size"].startswith("160 × 120 pixels, 57.6 kB (57,600 bytes)")
    assert facts["Model"] == "fake-bundle 7.1"
    assert facts["Model's SHA-256"] == "0" * 64


def test_doubts_are_included():
    image = replace(report().image, notes=("first of 3 pages",))

    assert document(report(image=image)).doubts == (
        "found by a fake",
        "How the file was read: first of 3 pages.",
    )


@pytest.mark.parametrize(
    ("left", "top", "place"),
    [(0, 0, "upper left"), (75, 55, "centre"), (75, 110, "lower"), (150, 55, "right")],
)
def test_regions_are_placed_in_words(left, top, place):
    box = replace(report().regions[0].box, x=left, y=top, width=8, height=8)
    region = Region(box, ((left, top), (left + 7, top), (left, top + 7)), 0.0033, 0.6)

    row = document(report(regions=(region,))).regions[0]

    assert (row.label, row.place, row.share, row.probability) == (
        "1",
        place,
        "0.3\N{NO-BREAK SPACE}%",
        "0.60",
    )


def decoded(result: ReportDocument, number: int) -> np.ndarray:
    return samples.decode(result.figures[number].picture.data).astype(int)


def resized(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(PIL.Image.fromarray(picture).resize((shape[1], shape[0]))).astype(int)


def grey(values: np.ndarray) -> bytes:
    return rendering.encode_png(np.rint(values * 255).astype(np.uint8))
