"""The failure codes of C2PA and CAWG, what each of them concerns, and a sentence for each.

The codes are those of the C2PA specification 2.2 (15.2, "Returning validation results") and of the CAWG
identity assertion 1.2. A code that is not listed is treated as one that concerns the form of the record.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Concern(enum.StrEnum):
    """What a failure says something about."""

    PICTURE = "picture"
    """The picture is not the one that was signed."""
    RECORD = "record"
    """The record was changed after it was signed, or is not whole."""
    SIGNER = "signer"
    """Who signed cannot be confirmed."""
    TIME = "time"
    """When it was signed cannot be confirmed."""
    AUTHOR = "author"
    """Who the author is cannot be confirmed; a statement of its own within the record."""
    INGREDIENT = "ingredient"
    """Something that the picture was made from."""
    FORM = "form"
    """The record is not written as the standard requires."""


@dataclass(frozen=True)
class Status:
    """One failure code."""

    code: str
    concern: Concern
    sentence: str


def status(code: str) -> Status:
    """Return the status of a failure code."""
    return _STATUSES.get(code) or Status(code, _concern(code), _GENERAL[_concern(code)])


_GENERAL = {
    Concern.PICTURE: "The picture does not fit the hash that was signed.",
    Concern.RECORD: "A part of the record was changed, or is missing.",
    Concern.SIGNER: "The signer's certificate cannot be confirmed.",
    Concern.TIME: "The time stamp cannot be confirmed.",
    Concern.AUTHOR: "The author's identity could not be confirmed.",
    Concern.INGREDIENT: "The record of something that it was made from is not valid.",
    Concern.FORM: "The record is not written as the standard requires.",
}
_CONCERNS = {
    "cawg.": Concern.AUTHOR,
    "ingredient.": Concern.INGREDIENT,
    "assertion.ingredient.": Concern.INGREDIENT,
    "timeStamp.": Concern.TIME,
    "manifest.timestamp.": Concern.TIME,
    "assertion.timestamp.": Concern.TIME,
    "signingCredential.": Concern.SIGNER,
}
"""What the codes that begin so concern, where `_STATUSES` does not list them."""


def _concern(code: str) -> Concern:
    return next((concern for start, concern in _CONCERNS.items() if code.startswith(start)), Concern.FORM)


_STATUSES = {
    each.code: each
    for each in (
        *(
            Status(code, Concern.PICTURE, _GENERAL[Concern.PICTURE])
            for code in (
                "assertion.dataHash.mismatch",
                "assertion.bmffHash.mismatch",
                "assertion.boxesHash.mismatch",
                "assertion.boxesHash.unknownBox",
                "assertion.collectionHash.mismatch",
                "assertion.collectionHash.incorrectFileCount",
            )
        ),
        Status("claimSignature.mismatch", Concern.RECORD, "The signature does not fit the record."),
        Status("claimSignature.missing", Concern.RECORD, "The record has no signature."),
        Status("claim.missing", Concern.RECORD, "The record has no claim."),
        Status("claim.multiple", Concern.RECORD, "The record has more than one claim."),
        *(
            Status(code, Concern.RECORD, _GENERAL[Concern.RECORD])
            for code in (
                "assertion.hashedURI.mismatch",
                "assertion.missing",
                "assertion.undeclared",
                "hashedURI.mismatch",
                "hashedURI.missing",
                "general.error",
            )
        ),
        *(
            Status(code, Concern.RECORD, "A part of the record cannot be read.")
            for code in (
                "claim.malformed",
                "claim.cbor.invalid",
                "assertion.cbor.invalid",
                "assertion.json.invalid",
                "manifest.compressed.invalid",
            )
        ),
        Status(
            "signingCredential.untrusted",
            Concern.SIGNER,
            "No list of trusted signers vouches for the signer.",
        ),
        Status(
            "signingCredential.expired",
            Concern.SIGNER,
            "The signer's certificate has expired, and no time stamp shows that it was valid on signing.",
        ),
        Status(
            "claimSignature.outsideValidity",
            Concern.SIGNER,
            "The signer's certificate was not valid at the time of signing.",
        ),
        Status(
            "signingCredential.invalid",
            Concern.SIGNER,
            "The signer's certificate may not be used for signing.",
        ),
        Status(
            "signingCredential.ocsp.revoked", Concern.SIGNER, "The signer's certificate has been withdrawn."
        ),
        Status(
            "signingCredential.ocsp.unknown",
            Concern.SIGNER,
            "The issuer of the signer's certificate does not know it.",
        ),
        Status(
            "cawg.ica.did_unavailable",
            Concern.AUTHOR,
            "The author's identity could not be checked without a network.",
        ),
        Status(
            "cawg.ica.untrusted_issuer",
            Concern.AUTHOR,
            "No one vouches for the issuer of the author's identity.",
        ),
        Status(
            "cawg.x509.credential.untrusted", Concern.AUTHOR, "No one vouches for the author's certificate."
        ),
        Status(
            "claim.hardBindings.missing", Concern.FORM, "The record has no hash that binds it to the picture."
        ),
        Status(
            "assertion.multipleHardBindings",
            Concern.FORM,
            "The record has several hashes where one is allowed.",
        ),
        Status(
            "assertion.dataHash.malformed", Concern.FORM, "The hash that binds the record cannot be read."
        ),
        Status(
            "assertion.bmffHash.malformed", Concern.FORM, "The hash that binds the record cannot be read."
        ),
        Status(
            "assertion.boxesHash.malformed", Concern.FORM, "The hash that binds the record cannot be read."
        ),
        Status(
            "assertion.required.missing",
            Concern.FORM,
            "The record lacks a statement that the standard requires.",
        ),
        Status("algorithm.unsupported", Concern.FORM, "The record uses an algorithm that is not supported."),
        Status("manifest.inaccessible", Concern.FORM, "A part of the record is kept elsewhere."),
        Status(
            "manifest.update.invalid", Concern.FORM, "An update of the record contains what updates may not."
        ),
    )
}
