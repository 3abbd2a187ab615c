"""What follows the end of a picture: archives, data of phones and cameras, further pictures, or remnants."""

from __future__ import annotations

from collections.abc import Iterator

from tamperscope.evidence.metadata.blocks import read_blocks
from tamperscope.evidence.structure.finding import HIDDEN, INCOHERENT, Finding
from tamperscope.images import Image


def on_trailing(image: Image, end: int | None) -> Iterator[Finding]:
    """Yield what follows the end of the picture, at an offset; None stands for a file that ends within it."""
    if end is None:
        yield Finding("The file ends within the picture: its end was cut off or lost.", INCOHERENT)
        return
    data = image.data
    first, last = data[end : end + _LOOKED_AT], data[max(end, len(data) - _LOOKED_AT) :]
    if len(data) == end or (not first.strip(_PADDING) and not last.strip(_PADDING)):
        return
    following = len(data) - end
    count = f"{following:,} bytes follow the end of the picture"
    content = first.lstrip(_PADDING.replace(b"\xff", b""))
    for mark, what in _ARCHIVES:
        # The directory of a ZIP file stands at its end.
        if content.startswith(mark) or (mark == b"PK\x05\x06" and mark in last):
            yield Finding(f"{count}: {what}, which cameras do not append.", HIDDEN)
            return
    for mark, what in _DEVICES:
        if mark in first or mark in last:
            yield Finding(f"{count}: {what}.")
            return
    if image.format == "PNG" and last.rstrip(_PADDING).endswith(_END_OF_PNG):
        text = (
            f"{count}: the rest of an earlier, larger file. Screenshot tools of Google and Microsoft left it "
            "when they cropped a picture (CVE-2023-21036 and CVE-2023-28303)."
        )
        yield Finding(text, INCOHERENT)
    elif b"\xff\xd8\xff" in first:
        listed = " that the file lists" if read_blocks(image).mpf else ""
        yield Finding(f"{count}: a further picture{listed}, such as a large preview.")
    else:
        yield Finding(f"{count}, of an unknown kind. Many cameras leave remnants of their memory there.")


_LOOKED_AT = 4096
"""Bytes at both ends of what follows the picture."""
_PADDING = b"\0\xff \r\n\t"
_END_OF_PNG = b"IEND\xaeB`\x82"

_ARCHIVES = (
    (b"PK\x03\x04", "an archive (ZIP)"),
    (b"PK\x05\x06", "an archive (ZIP)"),
    (b"Rar!\x1a\x07", "an archive (RAR)"),
    (b"7z\xbc\xaf\x27\x1c", "an archive (7z)"),
    (b"\x1f\x8b\x08", "an archive (gzip)"),
    (b"%PDF-", "a document (PDF)"),
    (b"MZ\x90\0", "a program (Windows)"),
    (b"\x7fELF", "a program (Linux)"),
    (b"#!/", "a script"),
    (b"<?php", "a script (PHP)"),
)
_DEVICES = (
    (b"SEFT", "data of a Samsung phone"),
    (b"QDIOBS", "data of a Samsung phone"),
    (b"MotionPhoto_Data", "the video of a motion photo"),
    (b"ftypmp42", "the video of a motion photo"),
    (b"ftypisom", "the video of a motion photo"),
    (b"ftypqt", "the video of a motion photo"),
    (b"CANON OPTIONAL DATA", "data of a Canon camera"),
    (b"cbipcbbl", "data of Photo Mechanic"),
    (b"vivo{", "data of a vivo phone"),
)
