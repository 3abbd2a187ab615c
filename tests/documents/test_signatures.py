"""Signed reports: who signed, and whether a byte was changed since."""

from __future__ import annotations

import base64
import dataclasses
import json
import random
from io import BytesIO

import pypdf
import pytest

from reports import NOON, PICTURE, report
from tamperscope.documents import ReportDocument, render_html, render_pdf
from tamperscope.documents.signatures import (
    Outcome,
    PublicKey,
    SigningKey,
    read_public_keys,
    verify,
)
from tamperscope.errors import SettingsError

KEY = SigningKey(bytes(range(32)), "newsroom")
IMAGE = "ab" * 32


def files() -> dict[str, bytes]:
    document = ReportDocument.of(report(), PICTURE, made_at=NOON, signer=KEY.description)
    found = report().to_json()
    return {
        "pdf": render_pdf(document),
        "html": render_html(document).encode(),
        "json": json.dumps(found).encode(),
        "json, indented": json.dumps(found, indent=2).encode() + b"\n",
    }


FILES = files()


def signed(data: bytes, key: SigningKey = KEY) -> bytes:
    return key.sign(data, image_sha256=IMAGE, at=NOON)


@pytest.fixture(params=FILES)
def plain(request) -> bytes:
    return FILES[request.param]


def test_a_known_key_and_an_unchanged_report_are_valid(plain):
    found = verify(signed(plain), [SigningKey.create("someone").public, KEY.public])

    assert found.outcome is Outcome.VALID
    assert (found.signer, found.key_id, found.signed_at) == ("newsroom", KEY.public.id, NOON)
    assert found.image_sha256 == IMAGE


def test_any_changed_byte_is_noticed(plain):
    report = signed(plain)
    places = {*range(len(report) - 900, len(report)), *random.Random(1).sample(range(len(report)), 300)}

    for place in sorted(places):
        changed = bytearray(report)
        changed[place] ^= 1
        try:
            found = verify(bytes(changed), [KEY.public])
        except ValueError:
            assert place < 20  # The file no longer begins like a report.
        else:
            assert found.outcome is not Outcome.VALID, place
            assert (found.signer, found.image_sha256) == ("", "") or found.outcome is Outcome.UNKNOWN_KEY


def test_something_added_cut_off_or_moved_is_a_change(plain):
    report = signed(plain)

    for changed in (report + b"%" + report, report + b"\n% more\n", report[:-9] + b" " + report[-9:]):
        assert verify(changed, [KEY.public]).outcome is Outcome.CHANGED


def test_a_signature_of_another_report_does_not_fit():
    other = signed(FILES["json"].replace(b'"score": 0.9', b'"score": 0.1'))
    signature = other[other.index(b',"signature"') :]

    assert verify(FILES["json"][:-1] + signature, [KEY.public]).outcome is Outcome.CHANGED


def test_a_formatted_json_report_counts_as_changed():
    formatted = json.dumps(json.loads(signed(FILES["json"])), indent=1).encode()

    assert verify(formatted, [KEY.public]).outcome is Outcome.CHANGED


def test_someone_else_can_sign_only_as_themselves(plain):
    found = verify(signed(plain, SigningKey.create("newsroom")), [KEY.public])

    assert (found.outcome, found.signer) == (Outcome.UNKNOWN_KEY, "")
    assert found.key_id != KEY.public.id


def test_without_a_signature_it_is_unsigned(plain):
    assert verify(plain, [KEY.public]).outcome is Outcome.UNSIGNED


@pytest.mark.parametrize(
    "change",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"b64": True},
        {"crit": []},
        {"typ": "JWT"},
        {"kid": "x"},
        {"iat": True},
    ],
)
def test_no_other_header_is_accepted(change):
    """Even under a signature that fits: nothing can be negotiated."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    payload = b'{"a":1}'
    protected = signed(payload).split(b'"signature":"')[1].split(b".")[0]
    header = json.loads(base64.urlsafe_b64decode(protected + b"==")) | change
    altered = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=")
    signature = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).sign(altered + b"." + payload)
    jws = altered + b".." + base64.urlsafe_b64encode(signature).rstrip(b"=")

    assert verify(b'{"a":1,"signature":"' + jws + b'"}', [KEY.public]).outcome is Outcome.CHANGED


def test_a_header_that_is_nested_too_deeply_does_not_fit():
    header = base64.urlsafe_b64encode(b"[" * 3000).rstrip(b"=")

    assert verify(b'{"a":1,"signature":"' + header + b'..AAAA"}').outcome is Outcome.CHANGED


def test_a_signed_pdf_is_still_a_sound_pdf_and_names_its_key():
    reader = pypdf.PdfReader(BytesIO(signed(FILES["pdf"])), strict=True)
    text = " ".join(page.extract_text() for page in reader.pages)

    assert f"signed by newsroom (key {KEY.public.id})" in " ".join(text.split()).replace("- ", "-")


def test_a_signed_json_report_keeps_its_content():
    content = json.loads(signed(FILES["json, indented"]))
    del content["signature"]

    assert content == json.loads(FILES["json"])


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"[1]", b"%PDF-1.4 without an end", b"{"])
def test_what_is_not_a_report_is_not_signed(data):
    with pytest.raises(ValueError, match="report"):
        signed(data)


class TestKeys:
    def test_the_id_is_the_thumbprint_of_the_standard(self):
        """RFC 8037, appendix A.3."""
        key = PublicKey.from_json(
            {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
        )

        assert key.id == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"

    def test_the_public_half_is_that_of_the_standard(self):
        """RFC 8037, appendix A.1 and A.2."""
        secret = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")

        assert SigningKey(secret, "").public.to_json()["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

    def test_it_is_written_for_its_owner_only_and_read_back(self, tmp_path):
        KEY.write(tmp_path / "key.json")

        assert (tmp_path / "key.json").stat().st_mode & 0o777 == 0o600
        assert SigningKey.read(tmp_path / "key.json").public == KEY.public
        with pytest.raises(SettingsError, match="never overwritten"):
            KEY.write(tmp_path / "key.json")

    def test_one_that_others_can_read_is_refused(self, tmp_path):
        KEY.write(tmp_path / "key.json")
        (tmp_path / "key.json").chmod(0o644)

        with pytest.raises(SettingsError, match="chmod 600"):
            SigningKey.read(tmp_path / "key.json")

    @pytest.mark.parametrize("text", ["", "{}", "[]", '"x"', "[" * 100_000, json.dumps(KEY.public.to_json())])
    def test_a_file_that_is_no_private_key_is_one_sentence(self, tmp_path, text):
        file = tmp_path / "key.json"
        file.write_text(text)
        file.chmod(0o600)

        with pytest.raises(SettingsError, match="is not a private signing key"):
            SigningKey.read(file)

    def test_halves_of_two_keys_are_refused(self, tmp_path):
        KEY.write(tmp_path / "key.json")
        other = SigningKey.create("newsroom").public.to_json()["x"]
        document = json.loads((tmp_path / "key.json").read_text())
        (tmp_path / "key.json").write_text(json.dumps(document | {"x": other}))

        with pytest.raises(SettingsError, match="do not belong together"):
            SigningKey.read(tmp_path / "key.json")

    def test_public_keys_come_alone_or_as_a_set(self, tmp_path):
        (tmp_path / "one.json").write_text(json.dumps(KEY.public.to_json()))
        (tmp_path / "set.json").write_text(json.dumps({"keys": [KEY.public.to_json()] * 2}))
        (tmp_path / "none.json").write_text('{"keys": []}')

        assert read_public_keys(tmp_path / "one.json") == (KEY.public,)
        assert read_public_keys(tmp_path / "set.json") == (KEY.public,) * 2
        for name in ("none.json", "missing.json"):
            with pytest.raises(SettingsError, match=r"holds no key|cannot be read"):
                read_public_keys(tmp_path / name)

    def test_a_name_cannot_fill_the_terminal(self):
        long = dataclasses.replace(KEY.public, name="n" * 5000)

        assert len(PublicKey.from_json(long.to_json()).name) == 200
