"""For any input, the answer has the right status and one clear sentence, and the server keeps running."""

from __future__ import annotations

import gc
import json
from io import BytesIO

import pytest

import samples
from fakes import FakeDetector, fake_app
from tamperscope.settings import Settings
from tamperscope.store import AnalysisStore, Database

PROBLEM = "application/problem+json"


REFUSED = {
    "empty file": (b"", 400),
    "text named jpg": (b"This is no picture at all, whatever its name says.\n", 415),
    "svg": (samples.svg(), 415),
    "header of 50,000 x 50,000": (samples.huge_png(), 413),
    "png bomb": (samples.png_bomb(b"zTXt"), 422),
    "gif of 65,535 x 65,535": (samples.huge_gif(), 413),
    "1 x 1": (samples.encode(samples.photo(1, 1), "PNG"), 422),
}


def assert_problem(response, status: int) -> str:
    assert response.status_code == status
    assert response.mimetype == PROBLEM
    problem = response.get_json(force=True)
    assert problem["status"] == status
    assert problem["title"]
    assert problem["type"]
    assert problem["error"] == problem["detail"]
    assert problem["detail"].endswith(".")
    assert "Traceback" not in response.text
    assert "/src/" not in response.text
    return problem["detail"]


@pytest.mark.parametrize("path", ["/segment", "/classify"])
@pytest.mark.parametrize(("data", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_files(post, photo_png, path, data, status):
    assert_problem(post(path, data), status)
    assert post(path, photo_png).status_code == 200


@pytest.mark.parametrize("data", samples.every_format().values(), ids=samples.every_format().keys())
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated_files_are_damaged(post, data, share):
    assert_problem(post("/segment", data[: int(len(data) * share)]), 422)


def test_a_form_without_fields(client):
    detail = assert_problem(client.post("/segment", data={}, content_type="multipart/form-data"), 400)

    assert "'image'" in detail


def test_a_wrong_field_is_named(client, photo_png):
    detail = assert_problem(client.post("/segment", data={"photo": (BytesIO(photo_png), "a.png")}), 400)

    assert "'image'" in detail
    assert "'photo'" in detail


def test_text_instead_of_a_file(client):
    form = client.post("/segment", data={"image": "photo.jpg"}, content_type="multipart/form-data")

    assert "text" in assert_problem(form, 400)


@pytest.mark.parametrize(
    "request_kwargs",
    [
        {"json": {"image": "aGVsbG8="}},
        {"data": b"\xff\xd8\xff", "content_type": "image/jpeg"},
        {"data": b"\xff\xd8\xff"},
        {"data": {"image": "photo.jpg"}},
    ],
    ids=["json", "bare image", "no type", "urlencoded"],
)
def test_a_body_that_is_not_a_multipart_form(client, request_kwargs):
    assert "multipart/form-data" in assert_problem(client.post("/classify", **request_kwargs), 400)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary="])
def test_a_form_without_boundary(client, content_type):
    detail = assert_problem(client.post("/segment", data=b"--x\r\n\r\n", content_type=content_type), 400)

    assert "boundary" in detail


@pytest.mark.parametrize("path", ["/segment", "/classify", "/v1/analyses"])
def test_several_images_are_refused_with_what_to_do(client, photo_png, path):
    two = {"image": [(BytesIO(photo_png), "a.png"), (BytesIO(photo_png), "b.png")]}

    assert "/v1/jobs" in assert_problem(client.post(path, data=two), 400)


def test_a_form_with_nameless_fields(client):
    body = b"--x\r\nContent-Disposition: form-data\r\n\r\ntext\r\n--x--\r\n"

    response = client.post("/segment", data=body, content_type="multipart/form-data; boundary=x")

    assert "no file in the field 'image'" in assert_problem(response, 400)


# Werkzeug leaves the incomplete file to the garbage collector, which warns about it. It runs here so that the
# warning does not appear in another test.
@pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning")
def test_a_form_cut_off_in_the_middle(client, photo_png):
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'

    response = client.post(
        "/segment", data=head + photo_png[:100], content_type="multipart/form-data; boundary=x"
    )

    assert_problem(response, 400)
    gc.collect()


@pytest.mark.parametrize("name", ["../../etc/passwd", "C:\\secret\\a.png", "a\x00b.png", "x" * 5000])
def test_the_file_name_is_ignored_and_never_returned(post, photo_png, name, caplog):
    caplog.set_level("DEBUG")

    assert post("/classify", photo_png, filename=name).status_code == 200
    refused = post("/classify", b"text", filename=name)

    assert refused.status_code == 415
    assert name not in refused.text
    assert name not in caplog.text


@pytest.mark.parametrize("excess", [1, 200_000], ids=["over the file's limit", "over the request's limit"])
def test_too_many_bytes(photo_png, excess):
    settings = Settings(max_bytes=20_000)
    client = fake_app(settings).test_client()
    data = photo_png.ljust(settings.max_bytes + excess, b"\0")

    assert_problem(client.post("/segment", data={"image": (BytesIO(data), "a.png")}), 413)


def test_too_many_pixels(photo_png):
    client = fake_app(Settings(max_pixels=96 * 64 - 1)).test_client()

    assert_problem(client.post("/segment", data={"image": (BytesIO(photo_png), "a.png")}), 413)


def test_unknown_address(client):
    assert_problem(client.get("/segments"), 404)


def test_a_person_at_an_unknown_address_gets_a_page(client):
    # What browsers send when someone types an address.
    typed = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}
    response = client.get("/analyses/1", headers={**typed, "Accept-Language": "de"})

    assert response.status_code == 404
    assert response.content_type == "text/html; charset=utf-8"
    assert response.headers["Content-Language"] == "de"
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    assert 'href="/page/style.css"' in response.text
    assert 'href="/"' in response.text
    assert "ETag" not in response.headers
    assert "Nothing is at this address" not in response.text
    behind_a_proxy = client.get("/x", headers=typed, environ_overrides={"SCRIPT_NAME": '/a"b'})
    assert 'href="/a&quot;b/page/style.css"' in behind_a_proxy.text


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html, application/json", None])
def test_a_program_at_an_unknown_address_gets_a_problem(client, accept):
    assert_problem(client.get("/segments", headers={"Accept": accept} if accept else {}), 404)


def test_a_missing_record_is_a_problem_for_browsers_too(client):
    assert_problem(client.get(f"/v1/analyses/{32 * '0'}", headers={"Accept": "text/html"}), 404)


def test_a_wrong_method_is_answered_with_the_right_one(client):
    response = client.get("/segment")

    assert_problem(response, 405)
    assert "POST" in response.headers["Allow"]


def test_a_bug_reveals_no_internals(photo_png, caplog):
    class Broken(FakeDetector):
        def analyze(self, source, **_):
            raise RuntimeError("secret inside /src/tamperscope")

    client = fake_app(detector=Broken()).test_client()
    response = client.post("/classify", data={"image": (BytesIO(photo_png), "a.png")})

    assert_problem(response, 500)
    assert "secret" not in response.text
    assert "secret inside" in caplog.text
    assert json.loads(client.get("/health").text) == {"status": "ok"}


@pytest.fixture
def stored(database_url):
    """A client of a server whose analyses and jobs are in a database of each kind."""
    database = Database(database_url)
    database.migrate()
    store = AnalysisStore(database)
    yield fake_app(store=store).test_client()
    store.close()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/analyses/a%00b", 404),
        ("DELETE", "/v1/analyses/a%00b", 404),
        ("GET", "/v1/analyses/a%00b/mask.png", 404),
        ("GET", f"/v1/analyses/{'0' * 32}/evidence/a%00b.png", 404),
        ("GET", "/v1/analyses?after=a%00b", 400),
        ("GET", "/v1/jobs/a%00b", 404),
        ("GET", "/v1/jobs/a%00b/results", 404),
        ("POST", "/v1/jobs/a%00b/cancel", 404),
        ("DELETE", "/v1/jobs/a%00b", 404),
        ("GET", "/v1/jobs?after=a%00b", 400),
        ("GET", "/v1/jobs?state=a%00b", 400),
        ("GET", "/page/a%00b", 404),
    ],
)
def test_a_nul_character_in_an_address_is_refused(stored, method, path, status):
    assert "NUL" in assert_problem(stored.open(path, method=method), status)


def test_a_nul_character_in_a_file_name_is_harmless(stored):
    sent = {"image": (BytesIO(samples.encode(samples.photo())), "a\0b.jpg")}
    job = stored.post("/v1/jobs", data=sent)
    assert job.status_code == 202


def test_a_nul_character_in_a_field_is_refused(stored):
    def post(**fields):
        sent = {"image": (BytesIO(samples.encode(samples.photo())), "a.jpg"), **fields}
        return stored.post("/v1/jobs", data=sent)

    secret = f"whsec_{'A' * 32}"
    assert_problem(post(webhook="https://news.example/\0", webhook_secret=secret), 400)
    assert_problem(post(webhook="https://news.example/", webhook_secret=f"{secret}\0"), 400)
    assert_problem(post(keep="\0"), 400)
