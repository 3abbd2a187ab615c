from __future__ import annotations

from pathlib import Path

import pytest

from tamperscope import settings
from tamperscope.commands.serve import _WORKER_SETTINGS
from tamperscope.errors import SettingsError
from tamperscope.method import DetectorOptions
from tamperscope.settings import TABLE, Settings


def test_nothing_given_means_the_defaults():
    assert Settings.read({}) == Settings()
    assert (Settings().host, Settings().port) == ("127.0.0.1", 5000)


def test_the_command_line_wins_over_the_environment():
    environment = {"TAMPERSCOPE_PORT": "8000", "TAMPERSCOPE_QUEUE": "2"}

    read = Settings.read(environment, {"port": "9000", "queue": None})

    assert (read.port, read.queue) == (9000, 2)


def test_an_empty_variable_counts_as_left_out():
    assert Settings.read({"TAMPERSCOPE_PORT": "", "TAMPERSCOPE_MODEL": ""}) == Settings()


def test_values_are_read_as_what_they_are():
    read = Settings.read(
        {
            "TAMPERSCOPE_MODEL": "model-mine",
            "TAMPERSCOPE_CORS_ORIGINS": "https://news.example, http://localhost:3000/",
            "TAMPERSCOPE_TUNNEL": "NGROK",
            "TAMPERSCOPE_THREADS": "2",
        }
    )

    assert read.model == Path("model-mine")
    assert read.cors_origins == ("https://news.example", "http://localhost:3000")
    assert (read.tunnel, read.threads) == ("ngrok", 2)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TAMPERSCOPE_PORT", "http"),
        ("TAMPERSCOPE_PORT", "65536"),
        ("TAMPERSCOPE_PORT", "-1"),
        ("TAMPERSCOPE_MAX_BYTES", "50 MB"),
        ("TAMPERSCOPE_WORKERS", "0"),
        ("TAMPERSCOPE_RETENTION", "0"),
        ("TAMPERSCOPE_RETENTION", "a week"),
        ("TAMPERSCOPE_TUNNEL", "cloudflare"),
        ("TAMPERSCOPE_LOG_LEVEL", "loud"),
        ("TAMPERSCOPE_CORS_ORIGINS", "news.example"),
        ("TAMPERSCOPE_TRUSTED_PROXY", "*"),
        ("TAMPERSCOPE_TRUSTED_PROXY", "proxy.example"),
        ("TAMPERSCOPE_HOSTS", "https://news.example"),
        ("TAMPERSCOPE_HOSTS", "*.news.example"),
        ("TAMPERSCOPE_CORS_ORIGINS", "https://*.example"),
        ("TAMPERSCOPE_CORS_ORIGINS", "https://news.example/page"),
    ],
)
def test_a_bad_value_is_refused_by_name_with_what_is_allowed(variable, value):
    with pytest.raises(SettingsError, match=variable) as refusal:
        Settings.read({variable: value})

    assert repr(value) in str(refusal.value)
    assert "must be" in str(refusal.value)


def test_a_bad_option_is_refused_by_its_name():
    with pytest.raises(SettingsError, match="--max-bytes is 'many'"):
        Settings.read({"TAMPERSCOPE_MAX_BYTES": "2000"}, {"max_bytes": "many"})


@pytest.mark.parametrize("variable", ["TAMPERSCOPE_DATABASE", "TAMPERSCOPE_REDIS", "NGROK_TOKEN"])
def test_a_secret_can_come_from_a_file(tmp_path, variable):
    secret = tmp_path / "secret"
    secret.write_text("redis://:open-sesame@queue:6379/0\n")

    from_file = Settings.read({f"{variable}_FILE": str(secret)})

    assert from_file == Settings.read({variable: "redis://:open-sesame@queue:6379/0"})
    assert "sesame" not in repr(from_file)


def test_only_a_secret_comes_from_a_file(tmp_path):
    port = tmp_path / "port"
    port.write_text("8000")

    assert Settings.read({"TAMPERSCOPE_PORT_FILE": str(port)}) == Settings()


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff", b"x" * 5000])
def test_a_file_without_a_secret_is_an_error_that_shows_nothing_of_it(tmp_path, content):
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_bytes(content)

    with pytest.raises(
        SettingsError, match=r"TAMPERSCOPE_REDIS_FILE is '.*secret', but it must be"
    ) as raised:
        Settings.read({"TAMPERSCOPE_REDIS_FILE": str(secret)})

    assert "xx" not in str(raised.value)


def test_a_secret_and_its_file_exclude_one_another(tmp_path):
    environment = {"TAMPERSCOPE_REDIS": "redis://a", "TAMPERSCOPE_REDIS_FILE": str(tmp_path / "secret")}

    with pytest.raises(SettingsError, match="Both TAMPERSCOPE_REDIS and TAMPERSCOPE_REDIS_FILE are set"):
        Settings.read(environment)


@pytest.mark.parametrize("variable", ["NGROK_TOKEN", "NGROK_AUTHTOKEN"])
def test_the_token_is_read_and_never_shown(variable):
    read = Settings.read({variable: "2secret"})

    assert read.ngrok_token == "2secret"
    assert "2secret" not in repr(read)


def test_the_databases_password_is_never_shown():
    read = Settings.read({"TAMPERSCOPE_DATABASE": "postgresql://u:hunter2@host/db"})

    assert read.database == "postgresql://u:hunter2@host/db"
    assert "hunter2" not in repr(read)


@pytest.mark.parametrize(("text", "days"), [("7", 7), ("none", None)])
def test_how_long_analyses_are_kept(text, days):
    assert Settings.read({"TAMPERSCOPE_RETENTION": text}).retention == days


def test_limits_of_images_follow():
    limits = Settings.read({"TAMPERSCOPE_MAX_BYTES": "2000", "TAMPERSCOPE_MAX_PIXELS": "5000"}).limits

    assert (limits.bytes, limits.pixels) == (2000, 5000)


def test_the_server_scales_images_as_the_library_does():
    assert Settings().pixel_budget == DetectorOptions().pixel_budget


def test_the_text_of_every_default_gives_that_default():
    defaults = {setting.name: setting.default for setting in settings.TABLE}

    assert Settings.read({}, defaults) == Settings()


def test_a_worker_has_every_setting_that_its_analyses_depend_on():
    read: set[str] = set()

    class Watched(Settings):
        def __getattribute__(self, name):
            read.add(name)
            return super().__getattribute__(name)

    _ = Watched().detector_options
    assert read & {setting.name for setting in TABLE} <= _WORKER_SETTINGS
