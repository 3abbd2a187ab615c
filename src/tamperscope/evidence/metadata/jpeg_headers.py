"""The application segments of a JPEG that hold neither EXIF nor another block, as entries.

JFIF is ITU-T T.871. `Adobe` is Adobe Technical Note 5116. Programs and cameras write others under
names of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_BLOCKS = (b"Exif\0", b"http://ns.adobe.com/", b"ICC_PROFILE", b"Photoshop 3.0", b"MPF\0", b"JP")
"""Starts of the segments that hold blocks."""
_UNITS = {1: "per inch", 2: "per centimetre"}
_TRANSFORMS = {0: "none", 1: "YCbCr", 2: "YCCK"}
_NAME = re.compile(rb"[ -~]{2,30}")


def read(segments: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, str]]:
    """Yield a name and a value for each segment, given as its marker and its first bytes."""
    for marker, content in segments:
        if content.startswith(b"JFIF\0") and len(content) >= 14:
            yield "JFIF", _jfif(content)
        elif content.startswith(b"Adobe") and len(content) >= 12:
            yield "Adobe", f"colour transform {_TRANSFORMS.get(content[11], content[11])}"
        elif not content.startswith(_BLOCKS) and (name := _NAME.match(content)):
            yield marker, name[0].decode("ascii")


def _jfif(content: bytes) -> str:
    across, down = int.from_bytes(content[8:10]), int.from_bytes(content[10:12])
    density = f"{across} x {down} {_UNITS.get(content[7], '(proportions)')}"
    preview = f", preview of {content[12]} x {content[13]} pixels" if content[12] and content[13] else ""
    return f"version {content[5]}.{content[6]:02}, density {density}{preview}"
