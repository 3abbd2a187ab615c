"""Keys, rate limits, and the security headers of answers."""

from __future__ import annotations

import datetime
import json
import stat
from io import BytesIO

import pytest
from redis import Redis

from fakes import FakeDetector, fake_app, fresh_store, unready_app
from tamperscope.errors import BundleError, SettingsError
from tamperscope.server.app import controls
from tamperscope.server.middleware.keys import KeyRing, create_key, list_keys, revoke_key
from tamperscope.server.middleware.rate_limit import RateLimiter, SharedRateLimiter
from tamperscope.settings import Settings

TODAY = datetime.date(2026, 1, 31)
OPEN = ["/", "/health", "/ready", "/openapi.json", "/docs", "/docs/start.js", "/v1/keys/signing"]


@pytest.fixture
def keys_file(tmp_path):
    return tmp_path / "keys.json"


@pytest.fixture
def key(keys_file):
    return create_key(keys_file, "newsroom", admin=False, today=TODAY)


@pytest.fixture
def admin_key(keys_file, key):
    return create_key(keys_file, "operator", admin=True, today=TODAY)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


class TestKeysFile:
    def test_it_never_contains_a_key_and_only_its_owner_can_read_it(self, keys_file, key):
        assert key not in keys_file.read_text()
        assert key.removeprefix("tsk_") not in keys_file.read_text()
        assert stat.S_IMODE(keys_file.stat().st_mode) == 0o600

    def test_only_the_exact_key_is_found(self, keys_file, key, admin_key):
        ring = KeyRing.read(keys_file)

        assert (ring.find(key).name, ring.find(key).admin) == ("newsroom", False)
        assert (ring.find(admin_key).name, ring.find(admin_key).admin) == ("operator", True)
        for wrong in ("", "newsroom", key[:-1], key + "a", ring.find(key).sha256, "ä"):
            assert ring.find(wrong) is None

    def test_a_key_expires_after_its_last_day(self, keys_file):
        last = TODAY + datetime.timedelta(days=30)
        key = create_key(keys_file, "temporary", admin=False, today=TODAY, expires=last)

        for today, valid in ((last, True), (last + datetime.timedelta(days=1), False)):
            ring = KeyRing(list_keys(keys_file), today=lambda today=today: today)
            assert (ring.find(key) is not None) is valid

    def test_a_revoked_key_is_gone_and_the_others_stay(self, keys_file, key, admin_key):
        revoke_key(keys_file, "newsroom")

        ring = KeyRing.read(keys_file)
        assert ring.find(key) is None
        assert ring.find(admin_key)
        with pytest.raises(SettingsError, match="no key named 'newsroom'"):
            revoke_key(keys_file, "newsroom")

    def test_keys_of_older_files_own_what_their_names_own(self, keys_file, key):
        file = json.loads(keys_file.read_text())
        del file["keys"][0]["id"], file["keys"][0]["expires"]
        keys_file.write_text(json.dumps(file))

        assert KeyRing.read(keys_file).find(key).owner == "newsroom"

    def test_a_name_can_be_used_only_once(self, keys_file, key):
        before = keys_file.read_bytes()

        with pytest.raises(SettingsError, match="already has a key named 'newsroom'"):
            create_key(keys_file, "newsroom", admin=False, today=TODAY)
        assert keys_file.read_bytes() == before

    @pytest.mark.parametrize(
        "content", ["", "{", "[]", '{"keys": [{"name": "a"}]}', '{"keys": [], "more": 1}', "\0"]
    )
    def test_anything_else_is_refused_in_one_sentence(self, keys_file, content):
        keys_file.write_text(content)

        with pytest.raises(SettingsError, match=r"keys\.json is not a keys file: .*\.$"):
            KeyRing.read(keys_file)

    def test_a_missing_file_is_answered_with_how_to_create_one(self, keys_file):
        with pytest.raises(SettingsError, match="tamperscope keys create"):
            unready_app(FakeDetector, Settings(keys=keys_file))

    def test_a_folder_that_cannot_be_written(self, tmp_path):
        with pytest.raises(SettingsError, match="cannot be written: no such file"):
            create_key(tmp_path / "missing" / "keys.json", "a", admin=False, today=TODAY)


class TestWithKeys:
    @pytest.fixture
    def client(self, keys_file, key, admin_key):
        return fake_app(Settings(keys=keys_file)).test_client()

    @pytest.fixture
    def classify(self, client, photo_png):
        def send(headers):
            return client.post("/classify", data={"image": (BytesIO(photo_png), "a.png")}, headers=headers)

        return send

    def test_the_right_key_is_accepted(self, classify, key):
        assert classify(bearer(key)).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [{}, bearer("tsk_wrong"), {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}],
        ids=["none", "wrong", "basic", "empty"],
    )
    def test_a_missing_or_wrong_key_is_refused(self, classify, headers):
        refused = classify(headers)

        assert (refused.status_code, refused.mimetype) == (401, "application/problem+json")
        assert refused.headers["WWW-Authenticate"].lower().startswith("bearer")
        assert "tsk_wrong" not in refused.text

    def test_only_harmless_endpoints_are_public(self, client):
        described = client.get("/openapi.json").get_json()["paths"]
        assert {path: client.get(path).status_code for path in OPEN} == dict.fromkeys(OPEN, 200)
        closed = [(path, method) for path, item in described.items() for method in item if path not in OPEN]
        assert len(closed) >= 4
        for path, method in closed:
            assert client.open(path, method=method).status_code == 401, path

    def test_a_cors_preflight_needs_no_key(self, client):
        headers = {
            "Origin": "https://news.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        }

        response = client.options("/segment", headers=headers)

        assert response.status_code == 200
        assert "authorization" in response.headers["Access-Control-Allow-Headers"]

    def test_only_an_administrator_can_reload(self, client, key, admin_key):
        assert client.post("/admin/reload", headers=bearer(key)).status_code == 403
        assert client.post("/admin/reload", headers=bearer(admin_key)).status_code == 200

    def test_a_revoked_key_is_refused_after_a_reload(self, client, classify, keys_file, key, admin_key):
        left = json.loads(keys_file.read_text())
        left["keys"] = [entry for entry in left["keys"] if entry["name"] != "newsroom"]
        keys_file.write_text(json.dumps(left))

        client.post("/admin/reload", headers=bearer(admin_key))

        assert classify(bearer(key)).status_code == 401

    def test_a_new_key_of_the_same_name_inherits_nothing(self, client, keys_file, key, admin_key, photo_png):
        sent = {"image": (BytesIO(photo_png), "a.png")}
        stored = client.post("/v1/analyses", data=sent, headers=bearer(key)).get_json()["links"]["self"]
        assert client.get(stored, headers=bearer(key)).status_code == 200

        revoke_key(keys_file, "newsroom")
        again = create_key(keys_file, "newsroom", admin=False, today=TODAY)
        client.post("/admin/reload", headers=bearer(admin_key))

        assert client.get(stored, headers=bearer(again)).status_code == 404
        assert client.get("/v1/analyses", headers=bearer(again)).get_json()["analyses"] == []

    def test_a_broken_keys_file_changes_nothing(self, client, classify, keys_file, key, admin_key, caplog):
        keys_file.write_text("{")

        refused = client.post("/admin/reload", headers=bearer(admin_key))

        assert refused.status_code == 409
        assert str(keys_file) not in refused.text
        assert "is not a keys file" in caplog.text
        assert classify(bearer(key)).status_code == 200

    def test_the_log_has_the_name_of_the_key_and_never_the_key(self, classify, key, caplog):
        caplog.set_level("DEBUG")

        classify(bearer(key))

        assert caplog.records[-1].fields["key"] == "newsroom"
        assert key not in caplog.text


def test_no_one_is_an_administrator_without_keys(client):
    assert client.post("/admin/reload").status_code == 403


def test_a_bundle_that_cannot_be_used_does_not_replace_the_old_one(keys_file, admin_key, photo_png, caplog):
    bundles = iter([FakeDetector()])

    def load():
        try:
            return next(bundles)
        except StopIteration:
            raise BundleError("/srv/model is incomplete: joint.onnx is missing.") from None

    app = unready_app(load, Settings(keys=keys_file))
    controls(app).reload()
    client = app.test_client()

    refused = client.post("/admin/reload", headers=bearer(admin_key))

    assert refused.status_code == 409
    assert "/srv/model" not in refused.text
    assert "joint.onnx is missing" in caplog.text
    assert client.get("/ready").get_json()["bundle"]["name"] == "fake"


class TestRateLimit:
    def test_a_burst_then_an_even_rate(self):
        limiter = RateLimiter(per_minute=30)

        assert [limiter.seconds_to_wait("a", 100.0) for _ in range(31)] == [0] * 30 + [2]
        assert limiter.seconds_to_wait("a", 101.9) == 1
        assert limiter.seconds_to_wait("a", 102.0) == 0
        assert limiter.seconds_to_wait("a", 102.0) == 2

    def test_a_long_pause_allows_no_more_than_a_burst(self):
        limiter = RateLimiter(per_minute=2)

        assert [limiter.seconds_to_wait("a", now) for now in (0.0, 9999.0, 9999.0, 9999.0)] == [0, 0, 0, 30]

    def test_callers_do_not_share(self):
        limiter = RateLimiter(per_minute=1)

        assert [limiter.seconds_to_wait(caller, 0.0) for caller in "aba"] == [0, 0, 60]

    def test_memory_is_bounded_and_busy_callers_are_remembered(self):
        limiter = RateLimiter(per_minute=1)
        for number in range(30_000):
            limiter.seconds_to_wait(str(number), 0.0)
            limiter.seconds_to_wait("busy", 0.0)

        assert len(limiter._buckets) == 10_000
        assert limiter.seconds_to_wait("busy", 0.0) == 60

    def test_a_rejected_caller_is_told_when_to_try_again(self, photo_png):
        client = fake_app(Settings(rate_limit=1)).test_client()
        first, second = (
            client.post("/classify", data={"image": (BytesIO(photo_png), "a.png")}) for _ in range(2)
        )

        assert (first.status_code, second.status_code) == (200, 429)
        assert second.mimetype == "application/problem+json"
        assert 0 < int(second.headers["Retry-After"]) <= 60
        assert client.get("/health").status_code == 200

    def test_each_key_has_its_own_limit(self, keys_file, key, admin_key):
        client = fake_app(Settings(keys=keys_file, rate_limit=1)).test_client()

        statuses = [
            client.get("/metrics", headers=bearer(each)).status_code for each in (key, admin_key, key)
        ]

        assert statuses == [200, 200, 429]

    def test_servers_with_the_same_redis_count_together(self, redis):
        first, second = (
            fake_app(Settings(rate_limit=3, redis=redis), store=fresh_store()).test_client() for _ in range(2)
        )

        statuses = [client.get("/metrics").status_code for client in (first, second, first, second, first)]

        assert statuses == [200, 200, 200, 429, 429]

    def test_in_redis_callers_do_not_share_and_are_told_how_long_to_wait(self, redis):
        limiter = SharedRateLimiter(1, redis)

        assert [limiter.seconds_to_wait(caller, 0.0) for caller in ("a", "b")] == [0, 0]
        assert 50 < limiter.seconds_to_wait("a", 0.0) <= 60

    def test_redis_learns_no_address_and_forgets_callers(self, redis):
        SharedRateLimiter(1, redis).seconds_to_wait("address 192.0.2.1", 0.0)

        stored = Redis.from_url(redis)
        [name] = stored.keys()
        assert b"192.0.2.1" not in name
        assert 0 < stored.ttl(name) <= 61

    def test_while_redis_does_not_answer_the_server_counts_alone(self, caplog):
        limiter = SharedRateLimiter(2, "unix:///nowhere/redis.socket")

        waits = [limiter.seconds_to_wait("a", now) for now in (0.0, 0.0, 0.0, 15.0, 15.0)]

        assert waits == [0, 0, 30, 15, 15]
        assert caplog.text.count("this server counts by itself") == 2

    def test_redis_counts_again_when_it_is_back(self, redis):
        limiter = SharedRateLimiter(1, redis)
        take = limiter._take
        limiter._take = None
        assert [limiter.seconds_to_wait("a", 0.0) for _ in range(2)] == [0, 60]

        limiter._take = take

        assert limiter.seconds_to_wait("a", 9.0) > 0
        assert limiter.seconds_to_wait("a", 10.0) == 0


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
    ],
)
def test_addresses_of_one_subscriber_share_a_limit(first, second, same):
    client = fake_app(Settings(rate_limit=1)).test_client()

    statuses = [
        client.get("/metrics", environ_overrides={"REMOTE_ADDR": address}).status_code
        for address in (first, second)
    ]

    assert statuses == [200, 429 if same else 200]


@pytest.mark.parametrize("path", ["/health", "/docs", "/nowhere"])
def test_every_answer_has_the_security_headers(client, path):
    headers = client.get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
