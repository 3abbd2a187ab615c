"""Which language the server answers in, and what stays the same in all of them."""

from __future__ import annotations

from io import BytesIO

import pypdf
import pytest

from fakes import fake_app
from tamperscope.settings import Settings

PATH = "/v1/analyses"


@pytest.fixture
def analysis(client, photo_png):
    return client.post(PATH, data={"image": (BytesIO(photo_png), "a.png")}).get_json()


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (None, "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.5", "de"),
        ("pt-BR", "pt"),
        ("zh-TW", "en"),
        ("zh,ar;q=0.8,en;q=0.3", "ar"),
        ("hi;q=0, es", "es"),
        ("*", "en"),
        (";;;q=x,,", "en"),
        ("x" * 5000, "en"),
    ],
)
def test_the_page_comes_in_the_language_that_the_browser_prefers(client, accepted, language):
    headers = {"Accept": "text/html", **({"Accept-Language": accepted} if accepted else {})}

    page = client.get("/", headers=headers)

    assert f'<html lang="{language}" dir="' in page.text
    assert page.headers["Content-Language"] == language
    assert "Accept-Language" in page.headers["Vary"]


@pytest.mark.parametrize(("chosen", "language"), [("ar", "ar"), ("xx", "fr"), ("<script>", "fr")])
def test_the_readers_choice_comes_before_the_browsers(client, chosen, language):
    client.set_cookie("tamperscope_language", chosen)

    page = client.get("/", headers={"Accept": "text/html", "Accept-Language": "fr"})

    assert f'<html lang="{language}"' in page.text
    assert "<script>" not in page.text


def test_the_operator_chooses_the_language_for_browsers_that_ask_for_no_other():
    client = fake_app(Settings(language="es")).test_client()

    assert '<html lang="es"' in client.get("/", headers={"Accept": "text/html"}).text
    assert '<html lang="de"' in client.get("/", headers={"Accept": "text/html", "Accept-Language": "de"}).text


def test_answers_are_english_unless_the_request_asks_for_another_language(client, analysis):
    english = client.get(f"{PATH}/{analysis['id']}")
    german = client.get(f"{PATH}/{analysis['id']}", headers={"Accept-Language": "de"})

    assert (english.headers["Content-Language"], german.headers["Content-Language"]) == ("en", "de")
    assert "Accept-Language" in german.headers["Vary"]
    assert english.get_json() == analysis
    assert english.get_json()["words"]["headline"] == "Manipulated"
    assert german.get_json()["words"]["headline"] == "Manipuliert"
    assert german.get_json()["evidence"]["error_level"]["title"] == "Fehlerpegel"


def test_only_sentences_follow_the_language(client, analysis):
    german = client.get(f"{PATH}/{analysis['id']}", headers={"Accept-Language": "de"}).get_json()

    for name in ("verdict", "score", "type", "type_scores", "operating_points", "links", "image", "bundle"):
        assert german[name] == analysis[name]
    assert set(german["evidence"]) == set(analysis["evidence"])


def test_one_answer_does_not_set_the_language_of_the_next(client, analysis):
    client.get(f"{PATH}/{analysis['id']}", headers={"Accept-Language": "ar"})
    client.get(f"{PATH}/missing", headers={"Accept-Language": "ar"})

    assert client.get(f"{PATH}/{analysis['id']}").get_json() == analysis


def test_lists_and_reports_follow_the_language(client, analysis):
    headers = {"Accept-Language": "fr"}
    listed = client.get(PATH, headers=headers).get_json()["analyses"]
    html = client.get(f"{PATH}/{analysis['id']}/report.html", headers=headers)
    pdf = client.get(f"{PATH}/{analysis['id']}/report.pdf", headers=headers)

    assert [each["headline"] for each in listed] == ["Manipulée"]
    assert '<html lang="fr" dir="ltr">' in html.text
    assert html.headers["Content-Language"] == pdf.headers["Content-Language"] == "fr"
    assert "Que faire maintenant" in pypdf.PdfReader(BytesIO(pdf.data)).pages[0].extract_text()


def test_problems_with_a_picture_follow_the_language(client):
    answer = client.post(PATH, data={"image": (BytesIO(b"text"), "a.txt")}, headers={"Accept-Language": "es"})

    assert answer.status_code == 415
    assert answer.get_json()["detail"].startswith("Esto no es una imagen")
    assert answer.get_json()["title"] == "Unsupported image"


def test_the_original_endpoints_stay_english(client, photo_png):
    answer = client.post(
        "/classify", data={"image": (BytesIO(photo_png), "a.png")}, headers={"Accept-Language": "de"}
    )

    assert "Content-Language" not in answer.headers
    assert answer.get_json()["notes"] == ["found by a fake"]
