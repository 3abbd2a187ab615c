"""Stored analyses: the answers, what is kept, and who can see it."""

from __future__ import annotations

import base64
import json
import re
from datetime import date, datetime
from io import BytesIO
from threading import Thread

import jsonschema
import numpy as np
import PIL.Image
import pypdf
import pytest
from werkzeug.test import TestResponse

import credentials
import samples
from fakes import JOBS, FakeDetector, fake_app
from reports import NOON
from tamperscope import Detector
from tamperscope.case import (
    LARGEST_JSON,
    LONGEST_LABEL,
    LONGEST_LINE,
    LONGEST_NOTES,
    LONGEST_REGION_NOTE,
    LONGEST_TAG,
    MOST_REGION_NOTES,
    MOST_TAGS,
)
from tamperscope.documents import ReportDocument
from tamperscope.documents.signatures import Outcome, PublicKey, SigningKey, verify
from tamperscope.errors import SettingsError
from tamperscope.images import read_image, rendering
from tamperscope.server.app import controls
from tamperscope.server.middleware.keys import create_key
from tamperscope.settings import Settings

PATH = "/v1/analyses"
MISSING = f"{PATH}/{'0' * 32}"
PICTURES = ("mask.png", "heatmap.png", "overlay.png", "image.png", "evidence/error_level.png")
REPORTS = ("report.json", "report.html", "report.pdf")


@pytest.fixture
def create(client):
    def send(data: bytes, *, via=client, query: str = "", **form: str) -> TestResponse:
        return via.post(PATH + query, data={"image": (BytesIO(data), "secret name.png"), **form})

    return send


@pytest.fixture
def analysis(create, photo_png):
    return create(photo_png).get_json()


@pytest.fixture
def kept(create, photo_png):
    return create(photo_png, keep="true").get_json()


def pixels(response: TestResponse) -> np.ndarray:
    assert (response.status_code, response.mimetype) == (200, "image/png")
    return np.asarray(PIL.Image.open(BytesIO(response.data)))


def assert_problem(response: TestResponse, status: int) -> str:
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    return response.get_json(force=True)["detail"]


class TestTheAnswer:
    def test_it_is_created_and_found_at_its_location(self, client, create, photo_png):
        created = create(photo_png)

        assert created.status_code == 201
        address = created.headers["Location"]
        assert re.fullmatch(r"/v1/analyses/[0-9a-f]{32}", address)
        assert client.get(address).get_json() == created.get_json()
        assert created.get_json()["links"]["self"] == address

    def test_it_contains_the_full_report(self, analysis, photo_png):
        report = FakeDetector().analyze(photo_png, all_evidence=True).to_json()

        for name, found in report.pop("evidence").items():
            assert analysis["evidence"][name].items() >= found.items()
        assert list(analysis["evidence"]) == ["metadata", "jpeg_grid", "error_level"]
        assert analysis["evidence"]["error_level"]["map"] == (
            f"/v1/analyses/{analysis['id']}/evidence/error_level.png"
        )
        assert analysis["evidence"]["metadata"]["map"] is None
        assert analysis["image"] == {**report.pop("image"), "kept": False}
        (region,) = report.pop("regions")
        assert analysis["regions"] == [
            {
                **region,
                "source": {**region["source"], "label": "1b"},
                "place": "upper left",
                "label": "1a",
                "minor": False,
                "finding": "Probably copied from 1b.",
            }
        ]
        assert {key: analysis[key] for key in report} == report
        assert set(analysis) - set(report) == {
            "id", "created", "case", "private", "words", "regions", "image", "evidence", "links",
            "feedback",
        }  # fmt: skip

    def test_its_words_are_those_of_the_reports(self, analysis, photo_png):
        document = ReportDocument.of(FakeDetector().analyze(photo_png, all_evidence=True), made_at=NOON)

        words, evidence = analysis["words"], analysis["evidence"]
        assert (words["headline"], words["meaning"]) == (document.headline, document.meaning)
        assert (words["finding"], words["minor_regions"]) == (document.finding, document.left_out)
        assert [step["text"] for step in words["next_steps"]] == [step.text for step in document.steps]
        assert (words["limits"], words["strengths"]) == (list(document.limits), document.strengths)
        assert words["types"]["copymove"]["name"] == "Copy-move"
        titles = {found["title"]: found["rating"] for found in evidence.values()}
        assert titles == {
            **{section.title: section.strength for section in document.evidence},
            "JPEG grid": None,
        }

    def test_it_matches_the_openapi_document(self, client, analysis, kept):
        described = client.get("/openapi.json").get_json()
        operation = described["paths"][PATH]["post"]["responses"]

        for answer in (analysis, kept):
            for status in ("200", "201"):
                schema = operation[status]["content"]["application/json"]["schema"]
                jsonschema.Draft202012Validator({**schema, "components": described["components"]}).validate(
                    answer
                )

    def test_an_image_that_was_not_kept_has_no_address(self, analysis):
        assert (analysis["links"]["overlay"], analysis["links"]["image"]) == (None, None)

    def test_the_file_has_the_same_content(self, client, analysis):
        file = client.get(analysis["links"]["report_json"])

        assert file.get_json() == analysis
        assert file.headers["Content-Disposition"] == (
            f'attachment; filename="tamperscope-{analysis["id"]}.json"'
        )

    def test_the_users_file_name_appears_nowhere(self, client, analysis):
        assert "secret" not in json.dumps(analysis)
        assert "secret" not in client.get(PATH).text

    @pytest.mark.parametrize("data", [b"", b"text", b"\x89PNG\r\n\x1a\n"])
    def test_a_bad_image_leaves_nothing_behind(self, client, create, data):
        assert_problem(create(data), {b"": 400, b"text": 415}.get(data, 422))

        assert client.get(PATH).get_json() == {"analyses": [], "next": None}


class TestAnsweringAgain:
    def test_the_same_image_is_not_analysed_twice(self, photo_png, create):
        detector = FakeDetector()
        client = fake_app(detector=detector).test_client()

        first, second = (create(photo_png, via=client) for _ in range(2))

        assert (first.status_code, second.status_code) == (201, 200)
        assert first.get_json() == second.get_json()
        assert second.headers["Location"] == first.headers["Location"]
        assert detector.entered.acquire(blocking=False)
        assert not detector.entered.acquire(blocking=False)

    def test_another_bundle_analyses_it_again(self, photo_png, create):
        detectors = [FakeDetector(), FakeDetector(sha256="1" * 64)]
        app = fake_app(detector=detectors[0])
        client = app.test_client()
        first = create(photo_png, via=client)
        detectors[0].bundle = detectors[1].bundle
        controls(app).reload()

        second = create(photo_png, via=client)

        assert second.status_code == 201
        assert second.get_json()["bundle"]["sha256"] == "1" * 64
        assert client.get(first.headers["Location"]).get_json() == first.get_json()

    @pytest.mark.parametrize(
        "settings", [{"evidence": "off"}, {"pixel_budget": 10_000}, {"precision": "f32"}], ids=str
    )
    def test_other_settings_analyse_it_again(self, store, photo_png, create, settings):
        usual = fake_app(store=store).test_client()
        other = fake_app(Settings(**settings), store=store).test_client()

        statuses = [create(photo_png, via=via).status_code for via in (usual, other, usual, other)]

        assert statuses == [201, 201, 200, 200]

    def test_analyses_survive_a_restart(self, store, photo_png, create):
        first = create(photo_png, via=fake_app(store=store).test_client())

        again = fake_app(store=store).test_client().get(first.headers["Location"])

        assert again.get_json() == first.get_json()


class TestThePictures:
    def test_the_mask_is_as_large_as_the_image(self, client, analysis, photo_png):
        mask = FakeDetector().analyze(photo_png).mask

        assert np.array_equal(pixels(client.get(analysis["links"]["mask"])), mask * np.uint8(255))

    def test_the_heatmap_is_available_in_colours_and_as_values(self, client, analysis, photo_png):
        heatmap = FakeDetector().analyze(photo_png).heatmap
        address = analysis["links"]["heatmap"]

        assert np.array_equal(pixels(client.get(address)), rendering.heatmap(heatmap))
        assert np.allclose(pixels(client.get(f"{address}?raw=true")) / 255, heatmap, atol=1 / 255)

    def test_the_map_of_a_measurement(self, client, analysis):
        address = analysis["evidence"]["error_level"]["map"]

        values = pixels(client.get(f"{address}?raw=true")) / 255
        assert np.allclose(values, np.linspace(0, 1, 96), atol=1 / 255)
        assert pixels(client.get(address)).shape == (64, 96, 3)

    @pytest.mark.parametrize("name", ["metadata", "jpeg_grid", "nothing", "..%2Fmask"])
    def test_a_map_that_does_not_exist(self, client, analysis, name):
        response = client.get(f"{PATH}/{analysis['id']}/evidence/{name}.png")

        assert response.status_code == 404

    def test_maps_of_large_images_are_scaled_down_and_the_mask_is_not(self, client, create):
        large = create(samples.encode(samples.photo(2560, 640))).get_json()

        assert pixels(client.get(large["links"]["mask"])).shape == (640, 2560)
        for address in (large["links"]["heatmap"], large["evidence"]["error_level"]["map"]):
            assert pixels(client.get(address)).shape == (256, 1024, 3)

    def test_a_browser_revalidates_each_time_and_is_told_when_nothing_changed(self, client, kept):
        for picture in PICTURES:
            first = client.get(f"{PATH}/{kept['id']}/{picture}")
            again = client.get(
                f"{PATH}/{kept['id']}/{picture}", headers={"If-None-Match": first.headers["ETag"]}
            )
            assert first.headers["Cache-Control"] == "private, no-cache"
            assert (again.status_code, again.data) == (304, b""), picture

    def test_raw_must_be_true_or_false(self, client, analysis):
        assert "`raw`" in assert_problem(client.get(analysis["links"]["heatmap"] + "?raw=maybe"), 400)


class TestTheReports:
    def test_the_page_shows_the_image_only_if_it_was_kept(self, client, create, photo_png):
        without = create(photo_png).get_json()
        before = client.get(without["links"]["report_html"])
        create(photo_png, keep="true")
        after = client.get(without["links"]["report_html"])

        for page in (before, after):
            assert (page.status_code, page.mimetype) == (200, "text/html")
            assert "<h1>Manipulated</h1>" in page.text
            assert without["image"]["sha256"] in page.text
        assert "The picture itself was not kept." in before.text
        assert "As it was analysed, upright." not in before.text
        assert "The picture itself was not kept." not in after.text
        assert "As it was analysed, upright." in after.text

    def test_the_page_can_neither_run_scripts_nor_make_requests(self, client, analysis):
        policy = client.get(analysis["links"]["report_html"]).headers["Content-Security-Policy"]

        assert {"default-src 'none'", "sandbox", "frame-ancestors 'none'"} <= set(policy.split("; "))
        assert "script" not in policy

    @pytest.mark.parametrize("keep", ["true", "false"])
    def test_the_pdf_has_the_same_content(self, client, create, photo_png, keep):
        analysis = create(photo_png, keep=keep).get_json()
        response = client.get(analysis["links"]["report_pdf"])
        file = pypdf.PdfReader(BytesIO(response.data))
        text = " ".join(" ".join(page.extract_text() for page in file.pages).split())

        assert (response.status_code, response.mimetype) == (200, "application/pdf")
        assert response.headers["Content-Disposition"] == (
            f'attachment; filename="tamperscope-{analysis["id"]}.pdf"'
        )
        assert "Brighter to the right." in text
        assert ("The picture itself was not kept." in text) == (keep == "false")

    def test_it_has_the_date_of_the_analysis_and_does_not_change(self, client, analysis):
        made = datetime.fromisoformat(analysis["created"])

        for link in ("report_html", "report_pdf"):
            first, again = (client.get(analysis["links"][link]).data for _ in range(2))
            assert first == again
        assert f"{made:%Y-%m-%d %H:%M:%S} UTC" in client.get(analysis["links"]["report_html"]).text

    def test_drawing_one_waits_for_a_slot_as_analysing_does(self, store, create, photo_png):
        detector = FakeDetector()
        client = fake_app(Settings(workers=1, queue=0), detector, store).test_client()
        analysis = create(photo_png, via=client).get_json()
        assert detector.entered.acquire(timeout=30)
        detector.release.clear()
        other = Thread(target=create, args=(samples.encode(samples.photo(seed=1)),), kwargs={"via": client})
        other.start()
        assert detector.entered.acquire(timeout=30)

        busy = client.get(analysis["links"]["report_pdf"])
        detector.release.set()
        other.join()

        assert "try again" in assert_problem(busy, 503)
        assert client.get(analysis["links"]["report_pdf"]).status_code == 200


class TestThePreviewInsideAFile:
    """A file's metadata can contain a preview, which is as private as the image."""

    @pytest.fixture
    def detector(self, joint_bundle):
        return Detector(joint_bundle)

    @pytest.fixture
    def client(self, detector):
        return fake_app(detector=detector).test_client()

    @pytest.fixture
    def carrying(self):
        return samples.with_preview(samples.photo(60, 40), picture=samples.photo(120, 80))

    @pytest.fixture
    def signed(self):
        before = samples.encode(samples.photo(160, 120, seed=2))
        return credentials.signed(samples.encode(samples.photo(120, 80)), "image/jpeg", ingredient=before)

    def test_the_preview_of_an_ingredient_is_kept_only_with_the_image(self, client, create, signed):
        first, kept = (
            create(signed, via=client, keep=keep).get_json()["evidence"]["provenance"]["details"]["parts"]
            for keep in ("false", "true")
        )

        assert [part["picture"] for part in first] == [""]
        assert kept[0]["picture"].startswith("data:image/png;base64,")

    @staticmethod
    def preview(analysis):
        return analysis["evidence"]["metadata"]["details"]["preview"]

    def test_it_is_kept_only_with_the_image(self, client, create, carrying):
        first, kept = (create(carrying, via=client, keep=keep).get_json() for keep in ("false", "true"))

        assert self.preview(first) == {**self.preview(kept), "picture": None}
        assert self.preview(kept)["picture"].startswith("data:image/png;base64,")
        assert kept["image"]["kept"]

    @pytest.mark.parametrize("kind", ["carrying", "signed"])
    def test_keeping_the_image_at_once_or_later_gives_the_same_report(
        self, client, create, kind, detector, request
    ):
        carrying = request.getfixturevalue(kind)
        at_once = create(carrying, via=client, keep="true").get_json()
        other = fake_app(detector=detector).test_client()
        create(carrying, via=other)
        later = create(carrying, via=other, keep="true").get_json()

        assert later["evidence"] == {
            name: {**found, "map": found["map"] and found["map"].replace(at_once["id"], later["id"])}
            for name, found in at_once["evidence"].items()
        }


class TestKeepingTheImage:
    @pytest.mark.parametrize("how", [{"query": "?keep=true"}, {"keep": "true"}, {"keep": "1"}], ids=str)
    def test_it_is_kept_on_request(self, client, create, photo, photo_png, how):
        kept = create(photo_png, **how).get_json()

        assert kept["image"]["kept"]
        image = pixels(client.get(kept["links"]["image"]))
        overlay = pixels(client.get(kept["links"]["overlay"]))
        mask = pixels(client.get(kept["links"]["mask"])) > 0
        assert np.array_equal(image, np.asarray(photo))
        assert np.array_equal(overlay, rendering.overlay(np.asarray(photo), mask))

    @pytest.mark.parametrize("how", [{}, {"keep": "false"}, {"query": "?keep=0"}], ids=str)
    def test_it_is_not_kept_otherwise(self, client, store, create, photo_png, how):
        client = fake_app(store=store).test_client()
        analysis = create(photo_png, via=client, **how).get_json()

        assert not analysis["image"]["kept"]
        for name in ("overlay.png", "image.png"):
            sentence = assert_problem(client.get(f"{PATH}/{analysis['id']}/{name}"), 404)
            assert "was not kept" in sentence
        assert store.picture(analysis["id"], "image", owner="") is None

    def test_it_can_be_kept_later_and_remains_kept(self, client, create, photo_png):
        answers = [create(photo_png, keep=keep) for keep in ("false", "true", "false")]

        assert [answer.status_code for answer in answers] == [201, 200, 200]
        assert [answer.get_json()["image"]["kept"] for answer in answers] == [False, True, True]
        assert client.get(answers[0].headers["Location"] + "/overlay.png").status_code == 200

    def test_a_turned_photo_is_shown_upright(self, client, create, photo):
        turned = samples.encode(photo, "JPEG", exif=samples.exif_orientation(6))

        kept = create(turned, keep="true").get_json()

        assert np.array_equal(pixels(client.get(kept["links"]["image"])), read_image(turned).pixels)

    @pytest.mark.parametrize(
        "how", [{"keep": "please"}, {"query": "?keep=please"}, {"keep": "false", "query": "?keep=7"}], ids=str
    )
    def test_anything_else_is_refused(self, client, create, photo_png, how):
        assert "`keep`" in assert_problem(create(photo_png, **how), 400)
        assert client.get(PATH).get_json()["analyses"] == []


class TestHistory:
    def test_it_lists_the_newest_first_page_by_page(self, client, create):
        created = [create(samples.encode(samples.photo(seed=seed))).get_json() for seed in range(5)]

        listed, address = [], f"{PATH}?limit=2"
        while address:
            page = client.get(address).get_json()
            assert len(page["analyses"]) <= 2
            listed += page["analyses"]
            address = page["next"]

        assert [line["id"] for line in listed] == [analysis["id"] for analysis in reversed(created)]
        for line, analysis in zip(listed, reversed(created), strict=True):
            assert line.pop("headline") == analysis["words"]["headline"]
            assert line.pop("type_name") == analysis["words"]["types"][line["type"]]["name"]
            assert (line.pop("title"), line.pop("case_number"), line.pop("tags")) == ("", "", [])
            assert line.pop("origin").items() <= analysis["origin"].items()
            assert {key: analysis[key] for key in line if key != "links"} == {
                key: value for key, value in line.items() if key != "links"
            }
            assert client.get(line["links"]["self"]).get_json() == analysis

    @pytest.mark.parametrize("limit", ["0", "101", "-1", "many", "", "1e2", "٣"])
    def test_a_limit_out_of_range(self, client, limit):
        assert "1 to 100" in assert_problem(client.get(PATH, query_string={"limit": limit}), 400)


class TestDeleting:
    def test_everything_is_deleted(self, client, kept, create, photo_png):
        deleted = client.delete(kept["links"]["self"])

        assert (deleted.status_code, deleted.data) == (204, b"")
        for address in ("", *(f"/{part}" for part in (*REPORTS, *PICTURES))):
            assert "no such analysis" in assert_problem(client.get(kept["links"]["self"] + address), 404)
        assert_problem(client.delete(kept["links"]["self"]), 404)
        assert client.get(PATH).get_json()["analyses"] == []
        assert create(photo_png).status_code == 201

    def test_an_analysis_that_never_existed(self, client):
        for address in (MISSING, f"{MISSING}/mask.png", f"{PATH}/x", f"{MISSING}/evidence/clones.png"):
            assert_problem(client.get(address), 404)


CASE = {
    "title": "Flood <b>",
    "number": "2026/7",
    "analyst": "A. B.",
    "notes": "Sent by a reader.",
    "tags": ["Flood"],
    "region_notes": {"1a": "The same car"},
}


class TestCases:
    @pytest.fixture
    def described(self, client, kept):
        response = client.put(kept["links"]["case"], json=CASE)
        assert (response.status_code, response.get_json()) == (200, CASE)
        return kept

    def test_what_people_add_is_in_the_analysis_the_list_and_the_reports(self, client, described):
        address = described["links"]["self"]

        assert client.get(address).get_json()["case"] == CASE
        (line,) = client.get(PATH).get_json()["analyses"]
        assert (line["title"], line["case_number"], line["tags"]) == ("Flood <b>", "2026/7", ["Flood"])
        page = client.get(address + "/report.html").text
        pdf = "".join(
            each.extract_text()
            for each in pypdf.PdfReader(BytesIO(client.get(address + "/report.pdf").data)).pages
        )
        for text in ("2026/7", "A. B.", "Sent by a reader.", "Flood", "The same car"):
            assert text in page
            assert text in pdf.replace("\n", " ")
        assert "<b>Flood" not in page
        assert "Flood &lt;b&gt;" in page

    @pytest.mark.parametrize(
        ("query", "count"),
        [("search=reader", 1), ("search=nothing", 0), ("tag=flood", 1), ("verdict=authentic", 0)],
    )
    def test_the_list_is_searched_and_filtered(self, client, described, query, count):
        assert len(client.get(f"{PATH}?{query}").get_json()["analyses"]) == count

    def test_further_pages_keep_the_search(self, client, create, described):
        for number in range(2):
            other = create(samples.encode(samples.photo(48, 40, seed=number), "PNG")).get_json()
            client.put(other["links"]["case"], json={"notes": "reader & co"})

        first = client.get(f"{PATH}?search=reader&limit=2").get_json()
        second = client.get(first["next"]).get_json()

        assert (len(first["analyses"]), len(second["analyses"]), second["next"]) == (2, 1, None)

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"tag": ["a field of another name"]}, 400),
            ({"title": "x" * 201}, 400),
            ({"tags": ["x"] * 21}, 400),
            ({"tags": [" "]}, 400),
            ({"tags": ["x" * 41]}, 400),
            # The tables hold it as ss.
            ({"tags": ["Flood", "ß" + "x" * 39]}, 400),
            ({"title": "a\0b"}, 400),
            ({"title": "\\\0"}, 400),
            ({"region_notes": {"\0": ""}}, 400),
            ({"region_notes": {"1": "x" * 1001}}, 400),
            ({"notes": "x" * LARGEST_JSON}, 413),
            ([], 400),
        ],
    )
    def test_too_much_is_refused_and_changes_nothing(self, client, described, body, status):
        assert_problem(client.put(described["links"]["case"], json=body), status)
        assert client.get(described["links"]["self"]).get_json()["case"] == CASE

    def test_the_longest_tag_and_a_text_that_looks_like_an_escape_are_stored(self, client, described):
        body = CASE | {"tags": ["ß" * 20], "title": r"\u0000 \\u0000"}

        assert client.put(described["links"]["case"], json=body).get_json() == body
        assert client.get(described["links"]["self"]).get_json()["case"] == body

    @pytest.mark.parametrize("character", ["क", "😀"], ids=["3 bytes", "4 bytes"])
    @pytest.mark.parametrize("escaped", [True, False])
    def test_every_limit_can_be_used_up_in_any_script(self, client, kept, character, escaped):
        line = character * LONGEST_LINE
        body = {
            "title": line,
            "number": line,
            "analyst": line,
            "notes": character * LONGEST_NOTES,
            "tags": [f"{n:02}" + character * (LONGEST_TAG - 2) for n in range(MOST_TAGS)],
            "region_notes": {
                f"{n:02}" + character * (LONGEST_LABEL - 2): character * LONGEST_REGION_NOTE
                for n in range(MOST_REGION_NOTES)
            },
        }
        data = json.dumps(body, ensure_ascii=escaped).encode()
        address = kept["links"]["case"]

        assert controls(client.application).body_limit(address, None) >= len(data)
        answer = client.put(address, data=data, content_type="application/json")
        assert (answer.status_code, answer.get_json()) == (200, body)

    def test_a_form_is_refused(self, client, described):
        assert "application/json" in assert_problem(
            client.put(described["links"]["case"], data={"title": "x"}), 415
        )

    def test_an_unknown_verdict_is_refused(self, client):
        assert "manipulated" in assert_problem(client.get(f"{PATH}?verdict=fake"), 400)


class TestThumbnails:
    def test_one_is_stored_with_a_kept_image_only(self, client, analysis, kept):
        del analysis
        (line,) = client.get(PATH).get_json()["analyses"]
        small = PIL.Image.open(BytesIO(client.get(line["links"]["thumbnail"]).data))

        assert (small.format, *small.size) == ("JPEG", 64, 64)

    def test_without_the_image_there_is_none(self, client, analysis):
        assert analysis["links"]["thumbnail"] is None
        assert client.get(PATH).get_json()["analyses"][0]["links"]["thumbnail"] is None
        assert_problem(client.get(analysis["links"]["self"] + "/thumbnail.jpg"), 404)


class TestPrivateAnalyses:
    def test_each_request_gets_its_own_and_no_list_has_it(self, client, create, photo_png):
        first = create(photo_png, private="true")
        second = create(photo_png, query="?private=true")
        listed = create(photo_png)

        assert [first.status_code, second.status_code, listed.status_code] == [201] * 3
        assert first.get_json()["private"]
        assert not listed.get_json()["private"]
        assert len({each.get_json()["id"] for each in (first, second, listed)}) == 3
        assert [line["id"] for line in client.get(PATH).get_json()["analyses"]] == [listed.get_json()["id"]]
        assert client.get(first.headers["Location"] + "/report.pdf").status_code == 200

    def test_it_keeps_no_image(self, create, photo_png):
        assert "private" in assert_problem(create(photo_png, private="true", keep="true"), 400)


class TestKeys:
    @pytest.fixture
    def keys(self, tmp_path):
        file = tmp_path / "keys.json"
        return {
            name: create_key(file, name, admin=name == "operator", today=date(2026, 1, 31))
            for name in ("newsroom", "claims", "operator")
        }

    @pytest.fixture
    def ask(self, keys, tmp_path):
        client = fake_app(Settings(keys=tmp_path / "keys.json")).test_client()

        def send(name: str, path: str, method: str = "GET", **arguments: object) -> TestResponse:
            headers = {"Authorization": f"Bearer {keys[name]}"} if name else {}
            return client.open(path, method=method, headers=headers, **arguments)

        return send

    def test_only_its_own_key_can_use_an_analysis(self, ask, photo_png):
        mine = ask("newsroom", PATH, "POST", data={"image": (BytesIO(photo_png), "a"), "keep": "true"})
        address = mine.headers["Location"]

        for other in ("claims", "operator"):
            for path in ("", *(f"/{part}" for part in (*REPORTS, *PICTURES))):
                assert ask(other, address + path).status_code == 404, (other, path)
            assert ask(other, address, "DELETE").status_code == 404
            assert ask(other, address + "/case", "PUT", json={"title": "x"}).status_code == 404
            assert ask(other, PATH).get_json()["analyses"] == []
        assert ask("newsroom", address).get_json() == mine.get_json()

    def test_the_same_image_of_another_key_is_another_analysis(self, ask, photo_png):
        ids = {}
        for name in ("newsroom", "claims"):
            created = ask(name, PATH, "POST", data={"image": (BytesIO(photo_png), "a")})
            assert created.status_code == 201
            ids[name] = created.get_json()["id"]

        assert ids["newsroom"] != ids["claims"]

    def test_nothing_is_answered_without_a_key(self, ask):
        for path, method in ((PATH, "GET"), (PATH, "POST"), (MISSING, "GET"), (MISSING, "DELETE")):
            assert ask("", path, method).status_code == 401


def test_a_broken_database_is_reported_and_does_not_affect_other_endpoints(store, photo_png, create, caplog):
    client = fake_app(store=store).test_client()
    with store._database.transaction() as session:
        session.connection().exec_driver_sql("DROP TABLE picture")

    for response in (create(photo_png, via=client), client.get(MISSING + "/mask.png")):
        assert "database of analyses" in assert_problem(response, 503)
        assert int(response.headers["Retry-After"]) > 0
    assert "no such table" in caplog.text
    assert "no such table" not in response.text
    form = {"image": (BytesIO(photo_png), "a.png")}
    assert client.post("/classify", data=form).status_code == 200


class TestQuota:
    @pytest.fixture
    def full(self, store, client, create, photo_png):
        """A store in which the quota is used up."""
        create(photo_png, via=fake_app(store=store).test_client())
        store.quota = store.usage(owner="").bytes
        return store

    @pytest.fixture
    def app(self, full):
        self.detector = FakeDetector()
        return fake_app(detector=self.detector, store=full)

    def test_a_full_one_is_said_in_words_before_the_image_is_analysed(self, app, create, photo):
        other = samples.encode(photo.rotate(90), "PNG")

        response = create(other, via=app.test_client())

        assert "delete some" in assert_problem(response, 507)
        assert response.get_json(force=True)["type"] == "urn:tamperscope:problem:quota"
        assert not self.detector.entered.acquire(blocking=False)

    def test_what_is_stored_already_is_still_answered(self, app, create, photo_png):
        assert create(photo_png, via=app.test_client()).status_code == 200
        assert_problem(create(photo_png, via=app.test_client(), keep="true"), 507)

    def test_its_use_is_answered(self, app, full, client):
        answer = app.test_client().get("/v1/usage").get_json()

        assert answer == {"analyses": 1, "bytes": full.quota, "max_bytes": full.quota}
        assert (
            client.get("/", headers={"Accept": "application/json"}).get_json()["max_stored_bytes"]
            == 10 * 2**30
        )

    def test_an_image_of_a_job_fails_alone(self, app, full, photo):
        client = app.test_client()
        files = [(BytesIO(samples.encode(photo.rotate(90), "PNG")), "a.png")]
        job = client.post("/v1/jobs", data={"image": files}).get_json()

        app.extensions[JOBS].work()

        [result] = client.get(f"/v1/jobs/{job['id']}/results").get_json()["results"]
        assert result["problem"]["type"] == "urn:tamperscope:problem:quota"


class TestSignedReports:
    @pytest.fixture
    def key(self, tmp_path):
        SigningKey.create("newsroom").write(tmp_path / "key.json")
        return tmp_path / "key.json"

    @pytest.fixture
    def signing(self, key):
        return fake_app(Settings(signing_key=key)).test_client()

    @pytest.mark.parametrize("name", REPORTS)
    def test_every_report_is_signed_with_the_key_that_the_server_answers(
        self, create, signing, photo_png, name
    ):
        analysis = create(photo_png, via=signing).get_json()
        answered = signing.get("/v1/keys/signing").get_json()["keys"]
        downloaded = signing.get(f"/v1/analyses/{analysis['id']}/{name}")

        found = verify(downloaded.data, map(PublicKey.from_json, answered))
        assert (found.outcome, found.signer) == (Outcome.VALID, "newsroom")
        assert found.image_sha256 == analysis["image"]["sha256"]
        digest = base64.b64encode(bytes.fromhex(found.report_sha256)).decode()
        assert downloaded.headers["Repr-Digest"] == f"sha-256=:{digest}:"

    def test_the_private_half_is_never_answered(self, signing, key):
        answered = signing.get("/v1/keys/signing")

        assert json.loads(key.read_text())["d"] not in answered.text
        assert "d" not in answered.get_json()["keys"][0]
        assert signing.get("/", headers={"Accept": "application/json"}).get_json()["signs_reports"] is True

    def test_without_a_key_nothing_is_signed(self, client, analysis):
        report = client.get(f"/v1/analyses/{analysis['id']}/report.json")

        assert "signature" not in report.get_json()
        assert verify(report.data).outcome is Outcome.UNSIGNED
        assert client.get("/v1/keys/signing").get_json() == {"keys": []}

    def test_a_key_that_others_can_read_stops_the_server(self, key):
        key.chmod(0o644)

        with pytest.raises(SettingsError, match="chmod 600"):
            fake_app(Settings(signing_key=key))
