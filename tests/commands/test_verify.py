"""`tamperscope keys create --signing` and `tamperscope verify`."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner, Result

from tamperscope.cli import main
from tamperscope.documents.signatures import SigningKey

PICTURE = b"the bytes of a picture"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    return call


@pytest.fixture
def report(run, tmp_path):
    """Return the name of a report that is signed with the key of a file."""
    assert run("keys", "create", "newsroom", "--signing").exit_code == 0
    (tmp_path / "photo.jpg").write_bytes(PICTURE)
    signed = SigningKey.read(tmp_path / "newsroom.key.json").sign(
        b'{"score":0.9}',
        image_sha256=hashlib.sha256(PICTURE).hexdigest(),
        at=datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC),
    )
    (tmp_path / "report.json").write_bytes(signed)
    return "report.json"


def test_a_valid_report_says_who_signed_it_when_and_what(run, report, tmp_path):
    result = run("verify", report, "--key", "newsroom.pub.json", "--image", "photo.jpg")

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "report.json: Valid. The report was not changed since it was signed."
    assert lines[1].split() == ["Signed", "by", "newsroom"]
    assert "2026-01-02 12:00:00 UTC" in lines[3]
    assert lines[4].split()[-1] == hashlib.sha256((tmp_path / report).read_bytes()).hexdigest()
    assert lines[6] == "  photo.jpg is the image that was analysed."


def test_another_picture_fails(run, report, tmp_path):
    (tmp_path / "other.jpg").write_bytes(b"another")
    result = run("verify", report, "--key", "newsroom.pub.json", "--image", "other.jpg")

    assert result.exit_code == 1
    assert "other.jpg is NOT the image that was analysed." in result.stdout


def test_an_unknown_key_a_change_and_no_signature_are_told_apart(run, report, tmp_path):
    (tmp_path / "plain.json").write_text('{"score":0.9}')
    (tmp_path / "changed.json").write_bytes((tmp_path / report).read_bytes().replace(b"0.9", b"0.1"))
    result = run("verify", report, "changed.json", "plain.json")

    assert result.exit_code == 1
    told = [line for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert [line.split(": ")[1].split(".")[0] for line in told] == [
        "Signed by an unknown key",
        "Changed after it was signed, or the signature is damaged",
        "Not signed",
    ]


def test_json_has_the_same(run, report):
    result = run("verify", report, "--key", "newsroom.pub.json", "--json")
    found = json.loads(result.stdout)

    assert (found["outcome"], found["signer"], found["image_matches"]) == ("valid", "newsroom", None)


def test_keys_can_be_known_by_the_environment(run, report, monkeypatch):
    monkeypatch.setenv("TAMPERSCOPE_KNOWN_KEYS", "newsroom.pub.json")

    assert run("verify", report).exit_code == 0


def test_other_files_are_named_and_the_rest_is_checked(run, report, tmp_path):
    (tmp_path / "photo.gif").write_bytes(b"GIF89a")
    result = run("verify", "photo.gif", "missing.pdf", report, "--key", "newsroom.pub.json")

    assert result.exit_code == 3
    assert "report.json: Valid" in result.stdout
    assert "photo.gif: This is not a report in PDF, HTML or JSON." in result.stderr
    assert "missing.pdf: No such file or directory." in result.stderr


def test_a_signing_key_is_never_overwritten_and_its_secret_is_not_printed(run, report, tmp_path):
    secret = json.loads((tmp_path / "newsroom.key.json").read_text())["d"]
    again = run("keys", "create", "newsroom", "--signing")

    assert again.exit_code == 2
    assert "never overwritten" in again.stderr
    first = run("keys", "create", "other", "--signing")
    assert secret not in (tmp_path / "newsroom.pub.json").read_text()
    assert json.loads((tmp_path / "other.key.json").read_text())["d"] not in first.output
    assert first.stdout.strip() == json.loads((tmp_path / "other.pub.json").read_text())["kid"]


@pytest.mark.parametrize(
    "arguments", [("--admin",), ("--days", "3")], ids=["an administrator's", "an expiry"]
)
def test_what_belongs_to_api_keys_is_refused(run, arguments):
    assert run("keys", "create", "newsroom", "--signing", *arguments).exit_code == 2


def test_a_name_that_is_no_file_name_needs_one(run):
    result = run("keys", "create", "News room/London", "--signing")

    assert result.exit_code == 2
    assert "--file" in result.stderr
    assert run("keys", "create", "News room/London", "--signing", "--file", "london.json").exit_code == 0
