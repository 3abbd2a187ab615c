"""The images of a new job, read from a form or a zip archive, one in memory at a time.

Nothing is unpacked to disk, and no name is ever used as a path. The sizes that an archive declares are not
trusted: reading stops at the limits.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from tamperscope.errors import ArchiveError, EmptyJobError, JobTooLargeError
from tamperscope.jobs.model import Failure, SubmittedImage

_LONGEST_NAME = 255
_DEFLATED_OR_STORED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
# Per member of an archive's directory: 46 bytes, its name and comment, and more from some programs.
_DIRECTORY_BYTES = 1024
_SMALLEST_DIRECTORY = 64 * 1024
_END_BYTES = 22
_LONGEST_COMMENT = 2**16

_DAMAGED = Failure("damaged-image", "The archive is damaged at this image.")
_UNREADABLE = Failure(
    "unsupported-image",
    "This member of the archive is encrypted, or compressed with an unsupported method.",
)
_EMPTY = Failure("no-image", "The file is empty.")


@dataclass(frozen=True)
class JobLimits:
    """The size limits of a job."""

    images: int
    bytes: int
    """Of all images together, unpacked."""
    image_bytes: int
    """Of one image; a larger image fails alone."""


def images_in_form(files: Iterable[tuple[str, IO[bytes]]], limits: JobLimits) -> Iterator[SubmittedImage]:
    """Yield the images of a form's files, given as pairs of name and file.

    Raises `EmptyJobError` when there are none, and `JobTooLargeError` when a limit is exceeded.
    """
    return _limited(((name, _read(file, limits)) for name, file in files), limits)


def images_in_archive(file: IO[bytes], limits: JobLimits) -> Iterator[SubmittedImage]:
    """Yield the images of a zip archive in its order, without folders and the files that systems add.

    A member that cannot be read fails alone. Raises `ArchiveError` when the archive as a whole cannot be
    read, `EmptyJobError` when it has no members, and `JobTooLargeError` when a limit is exceeded.
    """
    _check_directory(file, limits)
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error):
        raise ArchiveError(_INVALID_ARCHIVE) from None
    with archive:
        members = [member for member in archive.infolist() if not _is_clutter(member)]
        yield from _limited(
            ((member.filename, _member(archive, member, limits)) for member in members), limits
        )


_INVALID_ARCHIVE = "The file in the form field 'archive' is not a zip archive, or is damaged."


def _limited(found: Iterable[tuple[str, bytes | Failure]], limits: JobLimits) -> Iterator[SubmittedImage]:
    count = total = 0
    for name, content in found:
        count += 1
        if count > limits.images:
            raise JobTooLargeError(f"A job may have at most {limits.images} images; send several jobs.")
        if isinstance(content, Failure):
            yield SubmittedImage(_label(name), b"", content)
            continue
        total += len(content)
        if total > limits.bytes:
            raise JobTooLargeError(
                f"The images of a job may have at most {limits.bytes} bytes in total, unpacked; "
                "send several jobs."
            )
        if len(content) > limits.image_bytes:
            yield SubmittedImage(
                _label(name),
                b"",
                Failure(
                    "image-too-large", f"The image is larger than the {limits.image_bytes} bytes allowed."
                ),
            )
        elif not content:
            yield SubmittedImage(_label(name), b"", _EMPTY)
        else:
            yield SubmittedImage(_label(name), content)
    if not count:
        raise EmptyJobError(
            "The job has no images: send files in the form field 'image', or a zip archive in 'archive'."
        )


def _read(file: IO[bytes], limits: JobLimits) -> bytes:
    # One byte more than allowed is enough to detect that a file is too large.
    return file.read(limits.image_bytes + 1)


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limits: JobLimits) -> bytes | Failure:
    # One of the other methods would let the archive choose how much memory it takes.
    if member.flag_bits & _ENCRYPTED or member.compress_type not in _DEFLATED_OR_STORED:
        return _UNREADABLE
    try:
        with archive.open(member) as file:
            return _read(file, limits)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError, struct.error):
        return _DAMAGED


def _is_clutter(member: zipfile.ZipInfo) -> bool:
    parts = member.filename.split("/")
    return member.is_dir() or "__MACOSX" in parts or parts[-1] in (".DS_Store", "Thumbs.db", "desktop.ini")


def _label(name: str) -> str:
    """Return a file's name with its folders, made safe to show and to write."""
    printable = "".join(character for character in name if character.isprintable())
    parts = [part for part in re.split(r"[/\\]", printable) if part.strip(". ") and not part.endswith(":")]
    return "/".join(parts)[-_LONGEST_NAME:]


def _check_directory(file: IO[bytes], limits: JobLimits) -> None:
    """Reject archives whose directory alone would fill the memory: a small file can list millions."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END_BYTES - _LONGEST_COMMENT - 20))
    tail = file.read()
    # The last one, which zipfile uses too.
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) - end < _END_BYTES:
        raise ArchiveError(_INVALID_ARCHIVE)
    if tail[max(0, end - 20) : end].startswith(b"PK\x06\x07"):
        raise ArchiveError(
            "The archive is in the Zip64 format, which a job does not need; send a plain zip archive."
        )
    (directory,) = struct.unpack("<L", tail[end + 12 : end + 16])
    if directory > max(limits.images * _DIRECTORY_BYTES, _SMALLEST_DIRECTORY):
        raise JobTooLargeError(
            f"The archive lists more than the {limits.images} images that a job may have; send several jobs."
        )
