"""`/v1/jobs`, seen by a client."""

from __future__ import annotations

import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from io import BytesIO

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import samples
from fakes import JOBS, FakeDetector, fake_app
from tamperscope.errors import StoreError
from tamperscope.jobs.queue import JobQueue
from tamperscope.server.middleware.keys import create_key
from tamperscope.settings import Settings

PATH = "/v1/jobs"
MISSING = f"{PATH}/{'0' * 32}"
SECRET = "whsec_" + "c2VjcmV0" * 4


@pytest.fixture
def photos() -> list[bytes]:
    return [samples.encode(samples.photo(seed=seed)) for seed in range(3)]


def form(*images: bytes, **fields: str) -> dict[str, object]:
    return {"image": [(BytesIO(data), f"{number}.jpg") for number, data in enumerate(images)], **fields}


def archive(*images: bytes) -> dict[str, object]:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as members:
        for number, data in enumerate(images):
            members.writestr(f"folder/{number}.jpg", data)
    return {"archive": (BytesIO(file.getvalue()), "images.zip")}


def process_all(client: FlaskClient) -> None:
    while client.application.extensions[JOBS].work():
        pass


def problem(response: TestResponse, status: int) -> str:
    assert (response.status_code, response.mimetype) == (status, "application/problem+json"), response.text
    return response.get_json()["detail"]


class TestSubmitting:
    def test_a_job_is_accepted_and_can_be_watched(self, client, photos):
        accepted = client.post(PATH, data=form(*photos))

        assert accepted.status_code == 202
        job = accepted.get_json()
        assert accepted.headers["Location"] == job["links"]["self"] == f"{PATH}/{job['id']}"
        assert (job["state"], job["finished"], job["webhook"], job["keep"]) == ("queued", None, None, False)
        assert job["images"] == {"total": 3, "done": 0, "failed": 0}
        assert client.get(job["links"]["self"]).get_json() == job

    def test_its_results_are_analyses(self, client, photos):
        job = client.post(PATH, data=form(*photos)).get_json()
        process_all(client)

        ended = client.get(job["links"]["self"]).get_json()
        assert (ended["state"], ended["images"]["done"]) == ("completed", 3)
        assert ended["finished"]
        page = client.get(ended["links"]["results"]).get_json()
        assert page["next"] is None
        assert [(each["number"], each["name"]) for each in page["results"]] == [
            (number, f"{number}.jpg") for number in range(3)
        ]
        for result, photo in zip(page["results"], photos, strict=True):
            assert result["problem"] is None
            analysis = client.get(result["analysis"]["links"]["self"]).get_json()
            assert analysis["verdict"] == result["analysis"]["verdict"] == "manipulated"
            again = client.post("/v1/analyses", data={"image": (BytesIO(photo), "a.jpg")})
            assert (again.status_code, again.get_json()["id"]) == (200, analysis["id"])

    def test_an_archive_is_accepted_too(self, client, photos):
        job = client.post(PATH, data=archive(*photos)).get_json()
        process_all(client)

        results = client.get(job["links"]["results"]).get_json()["results"]
        assert [each["name"] for each in results] == [f"folder/{number}.jpg" for number in range(3)]
        assert all(each["analysis"] for each in results)

    def test_each_invalid_image_has_a_problem_and_the_others_are_analysed(self, client, photos):
        sent = form(photos[0], b"text", b"", photos[1][:-200], photos[2])
        job = client.post(PATH, data=sent).get_json()
        process_all(client)

        results = client.get(job["links"]["results"]).get_json()["results"]
        problems = {each["number"]: each["problem"] and each["problem"]["type"] for each in results}
        assert problems == {
            0: None,
            1: "urn:tamperscope:problem:unsupported-image",
            2: "urn:tamperscope:problem:no-image",
            3: "urn:tamperscope:problem:damaged-image",
            4: None,
        }
        assert client.get(job["links"]["self"]).get_json()["images"] == {"total": 5, "done": 2, "failed": 3}

    @pytest.mark.parametrize("keep", [True, False])
    def test_the_images_are_kept_only_on_request(self, client, photos, keep):
        job = client.post(PATH, data=form(photos[0], keep=str(keep).lower())).get_json()
        process_all(client)

        [result] = client.get(job["links"]["results"]).get_json()["results"]
        assert (job["keep"], result["analysis"]["image"]["kept"]) == (keep, keep)

    def test_the_same_image_twice_is_one_analysis_and_two_results(self, client, photos):
        job = client.post(PATH, data=form(photos[0], photos[0])).get_json()
        process_all(client)

        first, second = client.get(job["links"]["results"]).get_json()["results"]
        assert first["analysis"]["id"] == second["analysis"]["id"]

    def test_an_unexpected_error_fails_only_its_image(self, photos, caplog):
        class Failing(FakeDetector):
            def analyze(self, source, **options):
                if self.entered.acquire(blocking=False):
                    raise ValueError("secret detail")
                return super().analyze(source, **options)

        client = fake_app(detector=Failing()).test_client()
        job = client.post(PATH, data=form(*photos[:2])).get_json()
        process_all(client)

        first, second = client.get(job["links"]["results"]).get_json()["results"]
        assert first["analysis"]
        assert second["problem"]["type"] == "urn:tamperscope:problem:unexpected"
        assert "secret detail" not in second["problem"]["detail"]
        assert "secret detail" in caplog.text
        assert "1.jpg" not in caplog.text

    @pytest.mark.parametrize(
        ("data", "status", "sentence"),
        [
            ({}, 400, "no images"),
            ({"image": "text"}, 400, "no images"),
            ({"keep": "true"}, 400, "no images"),
            (form(b"x", keep="maybe"), 400, "`keep`"),
            (form(b"x") | archive(b"x"), 400, "either"),
            ({"archive": (BytesIO(b"text"), "a.zip")}, 415, "not a zip archive"),
            (form(*[b"x"] * 4), 413, "3 images"),
            (form(*[bytes(900)] * 3), 413, "2000 bytes"),
        ],
        ids=["nothing", "text", "no image", "keep", "both", "no zip", "too many", "too much"],
    )
    def test_invalid_submissions_are_refused(self, data, status, sentence):
        client = fake_app(Settings(max_bytes=1024, job_images=3, job_bytes=2000)).test_client()

        refused = client.post(PATH, data=data, content_type="multipart/form-data")

        assert sentence in problem(refused, status)
        assert client.get(PATH).get_json()["jobs"] == []

    def test_a_job_request_may_be_larger_than_an_analysis_request(self):
        client = fake_app(Settings(max_bytes=2**13, job_bytes=2**17, job_images=16)).test_client()

        accepted = client.post(PATH, data=form(*[bytes(2**13)] * 12))
        too_large = client.post(PATH, data=form(*[bytes(2**14)] * 14))

        assert accepted.status_code == 202
        assert "larger than this server accepts" in problem(too_large, 413)
        assert client.post("/classify", data=form(bytes(12 * 2**13))).status_code == 413

    def test_a_request_that_is_not_a_form(self, client):
        assert "multipart/form-data" in problem(client.post(PATH, json={"image": "a.jpg"}), 400)

    def test_one_caller_has_a_limit_of_unfinished_jobs(self, photos):
        client = fake_app(Settings(jobs=1)).test_client()
        client.post(PATH, data=form(photos[0]))

        refused = client.post(PATH, data=form(photos[1]))
        assert "limit of 1 unfinished jobs" in problem(refused, 429)
        assert int(refused.headers["Retry-After"]) > 0
        process_all(client)
        assert client.post(PATH, data=form(photos[1])).status_code == 202

    def test_a_flood_of_jobs_leaves_threads_for_other_requests(self, client, photos, monkeypatch):
        refused = []

        def submit(*_, **__):
            # Two are being received when the third arrives.
            response = client.application.test_client().post(PATH, data=form(photos[0]))
            refused.append(response)
            raise StoreError("The database is down.")

        monkeypatch.setattr(JobQueue, "submit", submit)

        client.post(PATH, data=form(photos[0]))

        assert "as many jobs as it can" in problem(refused[0], 503)
        assert int(refused[0].headers["Retry-After"]) > 0


class TestIdempotency:
    def test_a_request_that_is_sent_again_returns_the_same_job(self, client, photos):
        answers = [
            client.post(PATH, data=form(*photos), headers={"Idempotency-Key": "mine"}) for _ in range(2)
        ]

        assert [answer.status_code for answer in answers] == [202, 200]
        assert answers[0].headers["Location"] == answers[1].headers["Location"]
        assert len(client.get(PATH).get_json()["jobs"]) == 1

    def test_an_archive_that_is_sent_again(self, client, photos):
        statuses = [
            client.post(PATH, data=archive(*photos), headers={"Idempotency-Key": "mine"}).status_code
            for _ in range(2)
        ]

        assert statuses == [202, 200]

    @pytest.mark.parametrize(
        "other", [lambda photos: form(*photos[:2]), lambda photos: form(*photos, keep="true")]
    )
    def test_the_key_of_a_different_request_is_refused(self, client, photos, other):
        client.post(PATH, data=form(*photos), headers={"Idempotency-Key": "mine"})

        refused = client.post(PATH, data=other(photos), headers={"Idempotency-Key": "mine"})

        assert "a different request" in problem(refused, 422)

    @pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "ключ".encode().decode("latin-1")])
    def test_an_invalid_key(self, client, photos, key):
        refused = client.post(PATH, data=form(*photos), headers={"Idempotency-Key": key})

        assert "Idempotency-Key" in problem(refused, 400)


class TestResults:
    def test_they_arrive_page_by_page_while_the_job_runs(self, client, photos):
        job = client.post(PATH, data=form(*photos)).get_json()
        runner = client.application.extensions[JOBS]
        address, seen = f"{job['links']['results']}?limit=2", []
        while address:
            runner.work()
            page = client.get(address).get_json()
            seen += [each["number"] for each in page["results"]]
            address = page["next"]

        assert seen == [0, 1, 2]

    def test_only_the_failed_ones(self, client, photos):
        job = client.post(PATH, data=form(photos[0], b"text", photos[1], b"text")).get_json()
        process_all(client)

        first = client.get(f"{job['links']['results']}?state=failed&limit=1").get_json()
        second = client.get(first["next"]).get_json()
        assert [each["number"] for each in (*first["results"], *second["results"])] == [1, 3]
        assert second["next"] is None

    def test_an_analysis_that_was_deleted(self, client, photos):
        job = client.post(PATH, data=form(photos[0])).get_json()
        process_all(client)
        [result] = client.get(job["links"]["results"]).get_json()["results"]
        client.delete(result["analysis"]["links"]["self"])

        [result] = client.get(job["links"]["results"]).get_json()["results"]
        assert (result["analysis"], result["problem"]) == (None, None)

    @pytest.mark.parametrize("query", ["limit=0", "limit=many", "after=-1", "after=x", "state=waiting"])
    def test_an_invalid_page(self, client, photos, query):
        job = client.post(PATH, data=form(photos[0])).get_json()

        problem(client.get(f"{job['links']['results']}?{query}"), 400)


class TestListing:
    def test_newest_first_in_pages_and_by_state(self, client, photos):
        ids = [client.post(PATH, data=form(photo)).get_json()["id"] for photo in photos]
        client.post(f"{PATH}/{ids[1]}/cancel")

        first = client.get(f"{PATH}?limit=2").get_json()
        second = client.get(first["next"]).get_json()

        assert [job["id"] for job in (*first["jobs"], *second["jobs"])] == ids[::-1]
        assert second["next"] is None
        cancelled = client.get(f"{PATH}?state=cancelled").get_json()["jobs"]
        assert [job["id"] for job in cancelled] == [ids[1]]
        queued = client.get(f"{PATH}?state=queued&limit=1").get_json()
        assert [job["id"] for job in client.get(queued["next"]).get_json()["jobs"]] == [ids[0]]
        assert "queued, running, completed, cancelled" in problem(client.get(f"{PATH}?state=x"), 400)


class TestEnding:
    def test_a_cancelled_job_keeps_its_results(self, client, photos):
        job = client.post(PATH, data=form(*photos)).get_json()
        client.application.extensions[JOBS].work()

        cancelled = client.post(job["links"]["cancel"])
        process_all(client)

        assert cancelled.status_code == 200
        assert cancelled.get_json()["state"] == "cancelled"
        assert cancelled.get_json()["links"]["cancel"] is None
        page = client.get(job["links"]["results"]).get_json()
        assert ([each["number"] for each in page["results"]], page["next"]) == ([0], None)
        assert client.post(job["links"]["cancel"]).get_json() == cancelled.get_json()

    def test_a_deleted_job_is_gone_and_its_analyses_remain(self, client, photos):
        job = client.post(PATH, data=form(photos[0])).get_json()
        process_all(client)
        [result] = client.get(job["links"]["results"]).get_json()["results"]

        assert client.delete(job["links"]["self"]).status_code == 204

        for address in (job["links"]["self"], job["links"]["results"]):
            assert "no such job" in problem(client.get(address), 404)
        assert client.get(result["analysis"]["links"]["self"]).status_code == 200

    def test_a_job_that_never_existed(self, client):
        for response in (
            client.get(MISSING),
            client.get(f"{MISSING}/results"),
            client.post(f"{MISSING}/cancel"),
            client.delete(MISSING),
        ):
            problem(response, 404)


class TestWebhooks:
    def test_its_state_is_shown_without_its_secret(self, client, photos):
        sent = form(photos[0], webhook="https://news.example/hook", webhook_secret=SECRET)
        job = client.post(PATH, data=sent).get_json()

        assert job["webhook"] == {
            "url": "https://news.example/hook",
            "state": "pending",
            "attempts": 0,
            "error": None,
        }

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"webhook": "https://news.example/"}, "secret"),
            ({"webhook_secret": SECRET}, "needs a URL"),
            ({"webhook": "http://10.0.0.1/", "webhook_secret": SECRET}, "public addresses only"),
            ({"webhook": "ftp://news.example/", "webhook_secret": SECRET}, "needs a URL"),
        ],
    )
    def test_invalid_webhooks_are_refused(self, client, photos, fields, sentence):
        assert sentence in problem(client.post(PATH, data=form(photos[0], **fields)), 400)

    def test_a_server_may_disable_webhooks(self, photos):
        client = fake_app(Settings(webhooks="none")).test_client()
        sent = form(photos[0], webhook="https://news.example/", webhook_secret=SECRET)

        assert "sends no webhooks" in problem(client.post(PATH, data=sent), 400)


class TestKeys:
    @pytest.fixture
    def ask(self, tmp_path):
        file = tmp_path / "keys.json"
        keys = {name: create_key(file, name, admin=False, today=date(2026, 1, 31)) for name in ("a", "b")}
        client = fake_app(Settings(keys=file, jobs=1)).test_client()

        def send(name: str, path: str, method: str = "GET", **arguments: object) -> TestResponse:
            headers = {"Authorization": f"Bearer {keys[name]}"} if name else {}
            return client.open(path, method=method, headers=headers, **arguments)

        return send

    def test_only_its_own_key_can_use_a_job(self, ask, photos):
        address = ask("a", PATH, "POST", data=form(photos[0])).headers["Location"]

        for path, method in (
            (address, "GET"),
            (f"{address}/results", "GET"),
            (f"{address}/cancel", "POST"),
            (address, "DELETE"),
        ):
            assert ask("b", path, method).status_code == 404
            assert ask("", path, method).status_code == 401
        assert ask("b", PATH).get_json()["jobs"] == []
        assert ask("b", PATH, "POST", data=form(photos[0])).status_code == 202
        assert ask("a", address).get_json()["state"] == "queued"


def test_the_backlog_is_shown_to_prometheus(client, photos):
    client.post(PATH, data=form(*photos, b"text"))
    client.application.extensions[JOBS].work()

    metrics = client.get("/metrics").text.splitlines()
    for line in (
        'tamperscope_jobs{state="running"} 1.0',
        'tamperscope_jobs{state="completed"} 0.0',
        "tamperscope_job_images_waiting 3.0",
        "tamperscope_job_images_running 0.0",
        'tamperscope_job_images_total{outcome="done"} 1.0',
    ):
        assert line in metrics


def test_interactive_requests_are_answered_while_a_job_is_in_progress(photos):
    """The only worker is busy with a job image and there is no queue, but no request receives 503."""
    detector = FakeDetector(holding=True)
    client = fake_app(Settings(workers=1, queue=0), detector).test_client()
    client.post(PATH, data=form(photos[0]))
    with ThreadPoolExecutor(2) as threads:
        job = threads.submit(client.application.extensions[JOBS].work)
        assert detector.entered.acquire(timeout=30)
        interactive = threads.submit(
            client.application.test_client().post,
            "/classify",
            data={"image": (BytesIO(photos[1]), "a.jpg")},
        )
        detector.release.set()

        assert interactive.result(timeout=30).status_code == 200
        assert job.result(timeout=30)
