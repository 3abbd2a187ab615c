"""Content Credentials for tests, signed with a certificate that no authority vouches for."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SIGNER = "Test Desk, Test Newsroom"
GENERATED = {
    "action": "c2pa.created",
    "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
    "softwareAgent": {"name": "Dream Machine"},
}
TAKEN = {
    "action": "c2pa.created",
    "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture",
}
CROPPED = {"action": "c2pa.cropped", "when": "2026-01-01T12:00:00Z"}


def signed(
    data: bytes,
    mime_type: str,
    actions: Sequence[dict[str, Any]] = (TAKEN,),
    ingredient: bytes | None = None,
) -> bytes:
    """Return the file with a signed record of `actions`, and of a JPEG that it was made from."""
    manifest = {
        "claim_generator_info": [{"name": "tamperscope tests", "version": "1"}],
        "format": mime_type,
        "assertions": [{"label": "c2pa.actions", "data": {"actions": list(actions)}}],
    }
    thumbnail = {"enabled": ingredient is not None}
    settings = {"verify": {"verify_after_sign": False}, "builder": {"thumbnail": thumbnail}}
    file = io.BytesIO()
    with (
        c2pa.Context.from_dict(settings) as context,
        c2pa.Builder.from_json(json.dumps(manifest), context) as builder,
        c2pa.Signer.from_info(_identity()) as signer,
    ):
        if ingredient is not None:
            described = json.dumps({"title": "before.jpg", "relationship": "parentOf"})
            builder.add_ingredient(described, "image/jpeg", io.BytesIO(ingredient))
        builder.sign(signer, mime_type, io.BytesIO(data), file)
    return file.getvalue()


def authority() -> str:
    """Return the certificate of the authority that vouches for `SIGNER`, PEM."""
    return _pem(_root()[0])


def other_authority() -> str:
    """Return the certificate of an authority that vouches for no one, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _pem(_certificate("Other Root", key, "Other Root", key, is_authority=True))


@functools.cache
def _root() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    return _certificate("Test Root", key, "Test Root", key, is_authority=True), key


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@functools.cache
def _identity() -> c2pa.C2paSignerInfo:
    (root, authority), key = _root(), ec.generate_private_key(ec.SECP256R1())
    leaf = _certificate("Test Desk", key, "Test Root", authority, is_authority=False)
    chain = b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in (leaf, root))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return c2pa.C2paSignerInfo(b"es256", chain, secret, None)


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_authority, key_cert_sign=is_authority, crl_sign=is_authority, **usage
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if not is_authority:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=True
        )
    return builder.sign(issuer_key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test Newsroom"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )
