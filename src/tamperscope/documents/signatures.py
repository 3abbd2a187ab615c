"""Signed reports: who made one, and whether it was changed since.

    key = SigningKey.create("newsroom")
    signed = key.sign(pdf, image_sha256=report.image.sha256, at=datetime.now(UTC))
    verify(signed, [key.public]).outcome                 # Outcome.VALID

A signature is a JSON Web Signature (RFC 7515) with the algorithm Ed25519 (RFC 8037) and a detached payload
(RFC 7797). The payload is the whole file without the signature itself, which stands at one place near the
end: a comment in PDF and HTML, the last member in JSON. The file stays an ordinary PDF, HTML or JSON file.
The protected header names the key (its thumbprint, RFC 7638), the image's SHA-256 and the time.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tamperscope.errors import SettingsError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LARGEST_REPORT = 256 * 2**20
"""Bytes; no report is nearly as large."""
_LARGEST_KEY_FILE = 2**16
_LONGEST_SIGNATURE = 4096
_TYPE = "tamperscope-report"


class Outcome(enum.StrEnum):
    """What the verification of a report found."""

    VALID = "valid"
    """A known key signed the report, and it was not changed since."""
    UNKNOWN_KEY = "unknown-key"
    """It was not changed since it was signed, but by a key that is not among the known ones."""
    CHANGED = "changed"
    """It carries a signature that does not fit it."""
    UNSIGNED = "unsigned"


@dataclass(frozen=True)
class Verification:
    """The verification of one report."""

    outcome: Outcome
    report_sha256: str
    """SHA-256 of the report's file as it is, signature included."""
    signer: str = ""
    """Name of the known key; empty for any other outcome than `VALID`."""
    key_id: str = ""
    """Thumbprint of the key that signed it; empty unless the signature fits the report."""
    signed_at: datetime | None = None
    """When it was signed, in UTC, as the signer's clock told; None unless the signature fits the report."""
    image_sha256: str = ""
    """SHA-256 of the analysed image; empty unless the signature fits the report."""


@dataclass(frozen=True)
class PublicKey:
    """What a reader needs to recognise a signer."""

    x: bytes
    """The 32 bytes of the Ed25519 public key."""
    name: str = ""
    """What its owner calls it."""

    @property
    def id(self) -> str:
        """The key's thumbprint (RFC 7638): base64url of the SHA-256 of its required members."""
        members = {"crv": "Ed25519", "kty": "OKP", "x": _encoded(self.x)}
        return _encoded(hashlib.sha256(_compact(members)).digest())

    def to_json(self) -> dict[str, str]:
        """Return the key as a JSON Web Key (RFC 8037)."""
        return {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": _encoded(self.x),
            "kid": self.id,
            "use": "sig",
            "alg": "EdDSA",
            "name": self.name,
        }

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Read a JSON Web Key; raises `ValueError` when it is not an Ed25519 key."""
        if not isinstance(document, dict) or (document.get("kty"), document.get("crv")) != ("OKP", "Ed25519"):
            raise ValueError("not an Ed25519 key")
        return cls(_key_bytes(document.get("x")), _name(document.get("name")))

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Return whether this key made `signature` of `message`."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.x).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """A private key, which signs reports."""

    def __init__(self, secret: bytes, name: str) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._secret = secret
        self._key: Ed25519PrivateKey = Ed25519PrivateKey.from_private_bytes(secret)
        self.public = PublicKey(self._key.public_key().public_bytes_raw(), name)
        """The key that readers of its reports need."""

    @property
    def description(self) -> str:
        """The key in words: its owner's name for it, and its id."""
        return f"{self.public.name or 'a key'} (key {self.public.id})"

    @classmethod
    def create(cls, name: str) -> Self:
        """Return a new random key."""
        return cls(os.urandom(32), name)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file that `write` made.

        Raises `SettingsError` when it cannot be read, is not a private key, or other users of the machine may
        read it.
        """
        try:
            # A group may read it: Kubernetes mounts secrets that way.
            if os.name == "posix" and path.stat().st_mode & 0o027:
                raise SettingsError(
                    f"The signing key {path} can be read by others on this machine. Run: chmod 600 {path}"
                )
            document = _document(path)
            public = PublicKey.from_json(document)
            key = cls(_key_bytes(document.get("d")), public.name)
        except OSError as error:
            raise SettingsError(
                f"The signing key {path} cannot be read: {_reason(error)}. "
                "Create one with: tamperscope keys create NAME --signing."
            ) from None
        except ValueError:
            raise SettingsError(
                f"{path} is not a private signing key. "
                "Create one with: tamperscope keys create NAME --signing."
            ) from None
        if key.public != public:
            raise SettingsError(f"The two halves of the signing key {path} do not belong together.")
        return key

    def write(self, path: Path) -> None:
        """Write the private key as a JSON Web Key that only its owner may read.

        Raises `SettingsError` when the file exists already or cannot be written.
        """
        document = {**self.public.to_json(), "d": _encoded(self._secret)}
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="utf-8") as text:  # noqa: PTH123
                text.write(json.dumps(document, indent=2) + "\n")
        except FileExistsError:
            raise SettingsError(f"{path} exists already, and a signing key is never overwritten.") from None
        except OSError as error:
            raise SettingsError(f"The signing key {path} cannot be written: {_reason(error)}.") from None

    def sign(self, report: bytes, *, image_sha256: str, at: datetime) -> bytes:
        """Return a report with its signature; `at` is the time, with a time zone.

        Raises `ValueError` when `report` is not a PDF, HTML or JSON file as this package writes them.
        """
        form = _form_of(report)
        if form is None:
            raise ValueError("only reports in PDF, HTML or JSON can be signed")
        header = {
            "alg": "EdDSA",
            "typ": _TYPE,
            "kid": self.public.id,
            "jwk": {"kty": "OKP", "crv": "Ed25519", "x": _encoded(self.public.x)},
            "b64": False,
            "crit": ["b64"],
            "iat": int(at.timestamp()),
            "image_sha256": image_sha256,
        }
        protected = _encoded(_compact(header))
        signature = _encoded(self._key.sign(protected.encode("ascii") + b"." + report))
        return form.insert(report, f"{protected}..{signature}".encode("ascii"))


def read_public_keys(path: Path) -> tuple[PublicKey, ...]:
    """Read a JSON Web Key, or a set of them such as `/v1/keys/signing` answers; private parts are ignored.

    Raises `SettingsError` when the file cannot be read or holds no Ed25519 key.
    """
    try:
        document = _document(path)
        listed = document.get("keys", [document]) if isinstance(document, dict) else document
        keys = tuple(map(PublicKey.from_json, listed if isinstance(listed, list) else [listed]))
    except OSError as error:
        raise SettingsError(f"The key {path} cannot be read: {_reason(error)}.") from None
    except ValueError:
        keys = ()
    if not keys:
        raise SettingsError(f"{path} holds no key that could sign reports.")
    return keys


def verify(report: bytes, known: Iterable[PublicKey] = ()) -> Verification:
    """Return who signed a report, and whether it was changed since.

    Args:
        report: The whole file.
        known: Keys whose owners the reader knows.

    Raises:
        ValueError: The file is not a report: neither PDF, HTML nor a JSON object.
    """
    form = _form_of(report)
    if form is None:
        raise ValueError("not a report in PDF, HTML or JSON")
    digest = hashlib.sha256(report).hexdigest()
    found = form.signature.search(report)
    if found is None:
        return Verification(Outcome.CHANGED if form.mentions(report) else Outcome.UNSIGNED, digest)
    payload = report[: found.start()] + report[found.end() :]
    try:
        protected, signature = _parts(found["jws"])
        header = _header(protected)
        own = PublicKey.from_json(header["jwk"])
        signed_at = datetime.fromtimestamp(header["iat"], UTC)
        image_sha256 = header["image_sha256"]
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return Verification(Outcome.CHANGED, digest)
    if not own.verifies(signature, protected + b"." + payload):
        return Verification(Outcome.CHANGED, digest)
    signer = next((key for key in known if key.x == own.x), None)
    return Verification(
        Outcome.VALID if signer else Outcome.UNKNOWN_KEY,
        digest,
        signer.name if signer else "",
        own.id,
        signed_at,
        image_sha256,
    )


@dataclass(frozen=True)
class _Form:
    """Where a kind of file keeps its signature."""

    start: re.Pattern[bytes]
    """What such a file begins with."""
    end: re.Pattern[bytes]
    """What a signature is inserted before."""
    around: tuple[bytes, bytes]
    """What stands before and after the signature."""

    @property
    def signature(self) -> re.Pattern[bytes]:
        """A signature at its place; nothing else may follow than the end of the file."""
        before, after = map(re.escape, self.around)
        # Named once, and only at the end: what comes after a signature is not covered by it.
        return re.compile(
            before
            + rb"(?P<jws>[\w.-]{1,%d})" % _LONGEST_SIGNATURE
            + after
            + rb"(?="
            + self.end.pattern
            + rb")",
            re.ASCII,
        )

    def insert(self, report: bytes, signature: bytes) -> bytes:
        """Return the report with a signature."""
        found = self.end.search(report)
        if found is None:
            raise ValueError("the report has no end")
        before, after = self.around
        return report[: found.start()] + before + signature + after + report[found.start() :]

    def mentions(self, report: bytes) -> bool:
        """Return whether a report holds a signature anywhere, such as one that was moved or reformatted."""
        if self is not _JSON:
            return self.around[0] in report
        try:
            document = _parsed(report)
        except ValueError:
            return b'"signature"' in report
        return "signature" in document


_PDF = _Form(
    re.compile(rb"\A%PDF-"),
    re.compile(rb"startxref\s+[0-9]{1,12}\s+%%EOF\s{0,4}\Z"),
    (b"%tamperscope-signature ", b"\n"),
)
_HTML = _Form(
    re.compile(rb"\A(?i:<!doctype html)"),
    re.compile(rb"</html>\s{0,4}\Z"),
    (b"<!--tamperscope-signature ", b"-->\n"),
)
_JSON = _Form(re.compile(rb"\A\s{0,4}\{"), re.compile(rb"\s{0,4}\}\s{0,4}\Z"), (b',"signature":"', b'"'))


def _form_of(report: bytes) -> _Form | None:
    return next((form for form in (_PDF, _HTML, _JSON) if form.start.match(report)), None)


def _parts(jws: bytes) -> tuple[bytes, bytes]:
    """Return the protected header as it was signed, and the signature."""
    protected, payload, signature = jws.split(b".")
    if payload:
        raise ValueError("the payload is not detached")
    return protected, _decoded(signature.decode("ascii"))


def _header(protected: bytes) -> dict[str, Any]:
    """Return the header; raises `ValueError` for any other than those that `sign` writes."""
    header = _parsed(_decoded(protected.decode("ascii")))
    fixed = {"alg": "EdDSA", "typ": _TYPE, "b64": False, "crit": ["b64"]}
    # One algorithm and no extensions: nothing is left to negotiate, so nothing can be negotiated down.
    if not isinstance(header, dict) or {name: header.get(name) for name in fixed} != fixed:
        raise ValueError("not the header of a signed report")
    if not re.fullmatch("[0-9a-f]{64}", header["image_sha256"]) or type(header["iat"]) is not int:
        raise ValueError("not the header of a signed report")
    if PublicKey.from_json(header["jwk"]).id != header["kid"]:
        raise ValueError("the header names another key than it holds")
    return header


def _document(path: Path) -> Any:
    """Return a JSON file; raises `OSError` or `ValueError`."""
    with path.open("rb") as file:
        data = file.read(_LARGEST_KEY_FILE + 1)
    if len(data) > _LARGEST_KEY_FILE:
        raise ValueError("too large for a key")
    return _parsed(data)


def _parsed(data: bytes) -> Any:
    """Return a JSON document; raises `ValueError`, also for one that is nested too deeply."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _name(value: Any) -> str:
    return value[:200] if isinstance(value, str) else ""


def _key_bytes(value: Any) -> bytes:
    data = _decoded(value) if isinstance(value, str) else b""
    if len(data) != 32:
        raise ValueError("not an Ed25519 key")
    return data


def _compact(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def _encoded(data: bytes) -> str:
    """Return base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decoded(text: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("not base64url") from None
    # Only one spelling counts, so that no byte of a signature can be changed without notice.
    if _encoded(data) != text:
        raise ValueError("not base64url")
    return data


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown reason").lower()
