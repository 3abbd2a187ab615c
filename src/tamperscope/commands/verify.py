"""`tamperscope verify`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tamperscope.commands.output import FINDING, UNREADABLE, complain

if TYPE_CHECKING:
    from tamperscope.documents.signatures import Verification


@click.command()
@click.argument("reports", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="REPORT...")
@click.option(
    "--key",
    "key_files",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="TAMPERSCOPE_KNOWN_KEYS",
    show_envvar=True,
    metavar="FILE",
    help="Public key of a signer that you know, or a set of them. May be repeated.",
)
@click.option(
    "--image",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also say whether this is the picture that was analysed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per report.")
@click.pass_context
def verify(
    ctx: click.Context,
    /,
    reports: Sequence[Path],
    key_files: Sequence[Path],
    image: Path | None,
    as_json: bool,
) -> None:
    """Check the signature of each REPORT: PDF, HTML or JSON, as it was downloaded.

    \b
    Example:
      tamperscope verify report.pdf --key newsroom.pub.json
      tamperscope verify report.pdf --key newsroom.pub.json --image photo.jpg

    The exit code is 0 if a key that you name signed every report, no report was changed since, and the image
    is the one that was analysed. Otherwise it is 1. Ask signers for their public key in person, or take it
    from their own server over TLS: GET /v1/keys/signing.
    """
    from tamperscope.documents import signatures

    known = [key for file in key_files for key in signatures.read_public_keys(file)]
    picture = _sha256(image) if image else ""
    unreadable = failed = False
    for file in reports:
        try:
            with file.open("rb") as opened:
                data = opened.read(signatures.LARGEST_REPORT + 1)
            if len(data) > signatures.LARGEST_REPORT:
                raise ValueError("larger than any report")
            found = signatures.verify(data, known)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else f"This is {error}"
            complain(f"{file}: {reason or 'It cannot be read'}.")
            unreadable = True
            continue
        same = picture == found.image_sha256 if image and found.image_sha256 else None
        failed = failed or found.outcome is not signatures.Outcome.VALID or (bool(image) and not same)
        if as_json:
            click.echo(json.dumps(_to_json(file, found, same)))
        else:
            click.echo(
                "\n".join((f"{file}: {_SENTENCES[found.outcome.value]}", *_details(found, image, same)))
            )
    if unreadable:
        ctx.exit(UNREADABLE)
    if failed:
        ctx.exit(FINDING)


_SENTENCES = {
    "valid": "Valid. The report was not changed since it was signed.",
    "unknown-key": "Signed by an unknown key. The report was not changed since, but anyone can make a key: "
    "name those that you know with --key.",
    "changed": "Changed after it was signed, or the signature is damaged. Do not rely on it.",
    "unsigned": "Not signed. Nothing shows who made it, or whether it was changed.",
}


def _details(found: Verification, image: Path | None, same: bool | None) -> list[str]:
    lines = []
    if found.key_id:
        lines.append(f"  Signed by      {found.signer or 'an unknown signer'}")
        lines.append(f"  Key            {found.key_id}")
    if found.signed_at:
        lines.append(f"  Signed on      {found.signed_at:%Y-%m-%d %H:%M:%S UTC}, by the signer's clock")
    lines.append(f"  Report SHA-256 {found.report_sha256}")
    if found.image_sha256:
        lines.append(f"  Image SHA-256  {found.image_sha256}")
    if image and same is not None:
        told = "is the image that was analysed" if same else "is NOT the image that was analysed"
        lines.append(f"  {image} {told}.")
    return lines


def _to_json(file: Path, found: Verification, same: bool | None) -> dict[str, Any]:
    return {
        "file": str(file),
        "outcome": found.outcome.value,
        "signer": found.signer,
        "key_id": found.key_id,
        "signed_at": found.signed_at and found.signed_at.isoformat(),
        "report_sha256": found.report_sha256,
        "image_sha256": found.image_sha256,
        "image_matches": same,
    }


def _sha256(image: Path) -> str:
    try:
        with image.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise click.BadParameter(f"{image} cannot be read: {error.strerror}.", param_hint="--image") from None
