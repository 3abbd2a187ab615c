from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import samples
from credentials import CROPPED, GENERATED, SIGNER, TAKEN, authority, other_authority, signed
from tamperscope.errors import ImageError
from tamperscope.evidence import provenance
from tamperscope.evidence.provenance import NO_TRUST_LIST, TrustList, reading
from tamperscope.images import read_image
from tamperscope.origin import Basis, OriginKind
from tamperscope.report import Evidence


def measured(data: bytes) -> Evidence:
    return provenance.measure(read_image(data))


@pytest.fixture(scope="module")
def generated() -> bytes:
    return signed(samples.encode(samples.photo(200, 150)), "image/jpeg", [GENERATED])


@pytest.fixture(scope="module")
def taken() -> bytes:
    return signed(samples.encode(samples.photo(200, 150)), "image/jpeg", [TAKEN])


def replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) == 1
    return data.replace(old, new)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_signed_photo_is_unchanged_but_its_signer_is_not_verified(image_format: str) -> None:
    mime_type = f"image/{image_format.lower()}"
    evidence = measured(signed(samples.encode(samples.photo(200, 150), image_format), mime_type))
    assert evidence.strength == 0
    assert evidence.finding == (
        f"Signed by {SIGNER}, and unchanged since; the signer's identity is not verified. "
        "Declared as taken with a camera."
    )
    assert evidence.details["state"] == "unvouched"
    assert evidence.details["program"] == "tamperscope tests 1"
    json.dumps(evidence.record.to_json())


def test_a_declared_generator_is_notable(generated: bytes) -> None:
    evidence = measured(generated)
    assert evidence.notable
    assert evidence.finding.endswith("Declared as made by a generator (AI), with Dream Machine.")
    (action,) = evidence.details["actions"]
    assert action["source"] == "trainedAlgorithmicMedia"


def test_edits_are_reported_but_not_notable() -> None:
    evidence = measured(signed(samples.encode(samples.photo(200, 150)), "image/jpeg", [TAKEN, CROPPED]))
    assert evidence.finding.endswith("Declared edits: cropped.")
    assert evidence.strength
    assert not evidence.notable
    assert evidence.details["actions"][1]["when"] == "2026-01-01T12:00:00Z"


def test_a_picture_changed_after_signing_is_notable(taken: bytes) -> None:
    changed = bytearray(taken)
    changed[-100] ^= 1
    evidence = measured(bytes(changed))
    assert evidence.notable
    assert evidence.details["state"] == "altered"
    assert "changed after it was signed" in evidence.finding


def test_a_changed_record_is_broken_and_notable(generated: bytes) -> None:
    evidence = measured(replaced(generated, b"Dream Machine", b"Quiet Machine"))
    assert evidence.notable
    assert evidence.details["state"] == "broken"
    assert "are not valid" in evidence.finding


def test_a_broken_signature_is_reported_as_such(taken: bytes) -> None:
    evidence = measured(replaced(taken, b"Test Desk", b"Best Desk"))  # in the certificate
    assert evidence.details["state"] == "broken"
    assert evidence.notable


def test_a_file_without_credentials_is_not_judged() -> None:
    evidence = measured(samples.encode(samples.photo()))
    assert not evidence.applicable
    assert "no Content Credentials" in evidence.finding
    assert not provenance.measure(read_image(samples.photo())).applicable


def test_a_reference_to_credentials_elsewhere_is_not_followed() -> None:
    xmp = b'<x:xmpmeta><rdf:Description dcterms:provenance="https://cai.example/1"/></x:xmpmeta>'
    evidence = measured(samples.encode(samples.photo(), xmp=xmp))
    assert not evidence.applicable
    assert "kept at cai.example; they were not fetched" in evidence.finding


def test_damaged_credentials_raise_no_error(taken: bytes) -> None:
    start, end = taken.index(b"jumb"), taken.index(b"\xff\xda")
    rng = np.random.default_rng(0)
    states = set()
    for _ in range(4):
        damaged = bytearray(taken)
        for position in rng.integers(start, end, 8):
            damaged[position] = rng.integers(256)
        try:
            image = read_image(bytes(damaged))
        except ImageError:
            continue
        evidence = provenance.measure(image)
        assert evidence.finding.isprintable()
        states.add(evidence.details.get("state"))
    assert states <= {None, "altered", "broken", "unreadable"}


@pytest.mark.parametrize(
    "failure",
    [
        subprocess.CalledProcessError(-11, "reader"),  # a crash
        subprocess.TimeoutExpired("reader", 20),
        OSError("no processes left"),
    ],
)
def test_a_reader_that_fails_leaves_the_record_unreadable(
    taken: bytes, failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr(reading.subprocess, "run", fail)
    evidence = measured(taken)
    assert evidence.details["state"] == "unreadable"
    assert not evidence.notable


_LIBRARY = """
class C2paError(Exception):
    pass

class Context:
    from_dict = dict

class Reader:
    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def json(self):
        return {store!r}
"""


def read_with_library(store: str, folder: Path) -> bytes:
    """Return the reader's answer, on a system with an old code page, if the library reads this store."""
    (folder / "c2pa.py").write_text(_LIBRARY.format(store=store), "utf-8")
    script = Path(provenance.__file__).parents[1] / "_c2pa_reader.py"
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(
        [sys.executable, str(script), "image/jpeg"],
        input=b"0\n",
        stdout=subprocess.PIPE,
        env=environment,
        check=True,
    )
    return done.stdout


def test_the_answer_of_the_reader_is_utf8_on_every_system(tmp_path: Path) -> None:
    answer = read_with_library('{"title": "Müller 写真"}', tmp_path)

    assert json.loads(answer)["store"] == {"title": "Müller 写真"}


def test_the_answer_of_the_reader_is_limited_in_bytes(tmp_path: Path) -> None:
    # 2 Mi characters are 6 MiB.
    # 2 Mi characters, 6 MiB.
    assert read_with_library('{"title": "' + "写" * 2**21 + '"}', tmp_path) == b""


def test_the_sentence_says_which_trust_list_vouches_for_the_signer(taken: bytes) -> None:
    evidence = provenance.measure(read_image(taken), TrustList("authorities.pem", authority()))
    assert evidence.details["state"] == "trusted"
    assert "unchanged since; the signer is on the trust list authorities.pem." in evidence.finding


def test_a_signer_that_is_not_on_the_trust_list_is_named_as_such(taken: bytes) -> None:
    evidence = provenance.measure(read_image(taken), TrustList("others.pem", other_authority()))
    assert evidence.details["state"] == "unvouched"
    assert "the signer is not on the trust list others.pem" in evidence.finding


def test_a_changed_picture_is_claimed_as_proven(taken: bytes) -> None:
    changed = bytearray(taken)
    changed[-100] ^= 1
    found = provenance.read(read_image(bytes(changed)))
    assert found is not None
    first = next(provenance.claims(found))
    assert (first.kind, first.basis) == (OriginKind.CHANGED, Basis.PROVEN)


def test_a_capture_is_proven_only_by_a_trusted_signer(taken: bytes) -> None:
    image = read_image(taken)
    bases = []
    for trust in (NO_TRUST_LIST, TrustList("authorities.pem", authority())):
        found = provenance.read(image, trust)
        assert found is not None
        bases += [claim.basis for claim in provenance.claims(found)]
    assert bases == [Basis.SIGNED, Basis.PROVEN]


def test_edits_under_a_trusted_signature_prove_no_capture() -> None:
    data = signed(samples.encode(samples.photo(200, 150)), "image/jpeg", [TAKEN, CROPPED])
    found = provenance.read(read_image(data), TrustList("authorities.pem", authority()))
    assert found is not None
    assert Basis.PROVEN not in {claim.basis for claim in provenance.claims(found)}


def test_a_record_from_before_the_standard_is_said_to_be_one(
    monkeypatch: pytest.MonkeyPatch, taken: bytes
) -> None:
    answer = subprocess.CompletedProcess((), 0, b'{"error": "Other: prerelease content detected"}')
    monkeypatch.setattr(reading.subprocess, "run", lambda *_, **__: answer)
    assert measured(taken).details["state"] == "prerelease"


def test_the_preview_of_an_ingredient_is_shown() -> None:
    before = samples.encode(samples.photo(400, 300, seed=3))
    data = signed(samples.encode(samples.photo(200, 150)), "image/jpeg", [CROPPED], ingredient=before)

    (part,) = measured(data).details["parts"]

    assert (part["title"], part["relation"]) == ("before.jpg", "parentOf")
    png = base64.b64decode(part["picture"].removeprefix("data:image/png;base64,"))
    shown = read_image(png)
    assert max(shown.width, shown.height) == 256
    small = np.asarray(PIL.Image.fromarray(samples.photo(400, 300, seed=3)).resize((256, 192)))
    assert np.abs(shown.pixels.astype(int) - small).mean() < 10


@pytest.mark.parametrize("picture", ["not base64!", base64.b64encode(b"not a picture").decode()])
def test_a_preview_that_cannot_be_read_is_left_out(picture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ingredient = {"title": "a", "relationship": "parentOf", "thumbnail": {"identifier": "self#a"}}
    store = {"active_manifest": "m", "manifests": {"m": {"ingredients": [ingredient]}}}
    monkeypatch.setattr(reading, "_answer", lambda *_: {"store": store, "pictures": {"self#a": picture}})
    data = signed(samples.encode(samples.photo(200, 150)), "image/jpeg")

    assert measured(data).details["parts"][0]["picture"] == ""
