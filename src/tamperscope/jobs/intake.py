"""The images of a new job, read from a form or a zip archive, one in memory at a time.

No name is ever used as a path. The sizes that an archive declares are not trusted: every byte that was
unpacked counts, whatever becomes of it, and reading stops at the limits.
"""

from __future__ import annotations

import itertools
import re
import struct
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from tamperscope.errors import ArchiveError, EmptyJobError, JobTooLargeError, TemporaryFolderError
from tamperscope.jobs.model import Failure, SubmittedImage

_LONGEST_NAME = 255
_LONGEST_SECONDS = 60.0
"""Time to read all images of a job."""
_PORTION = 64 * 1024
_DEFLATED_OR_STORED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
# Per member of an archive's directory: 46 bytes, its name and comment, and more from some programs.
_DIRECTORY_BYTES = 1024
_SMALLEST_DIRECTORY = 64 * 1024
_LOCAL_HEADER_BYTES = 30
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
    return _limited(((name, _read_file(file, limits)) for name, file in files), limits)


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
        _check_overlap(archive.infolist())
        members = [member for member in archive.infolist() if not _is_clutter(member)]
        yield from _limited(
            ((member.filename, _member(archive, member, limits)) for member in members), limits
        )


@contextmanager
def spooled(images: Iterable[SubmittedImage]) -> Iterator[SpooledImages]:
    """Read images into a temporary file, which is deleted at the end.

    Raises what reading raises, and `TemporaryFolderError` when the temporary folder is full.
    """
    with tempfile.TemporaryFile() as file:
        yield SpooledImages(images, file)


class SpooledImages:
    """Images that have been read, checked and unpacked; iterating over them is quick and cannot fail."""

    def __init__(self, images: Iterable[SubmittedImage], file: IO[bytes]) -> None:
        self._file = file
        self._entries: list[tuple[str, int, Failure | None]] = []
        for image in images:
            self._entries.append((image.name, len(image.data), image.failure))
            self._append(image.data)

    def __iter__(self) -> Iterator[SubmittedImage]:
        """Yield the images in their order."""
        self._file.seek(0)
        for name, size, failure in self._entries:
            yield SubmittedImage(name, self._file.read(size), failure)

    def _append(self, data: bytes) -> None:
        try:
            self._file.write(data)
            self._file.flush()
        except OSError:
            raise TemporaryFolderError("The server has no room for this job; try again later.") from None


@dataclass(frozen=True)
class _Content:
    """What was read of one image."""

    data: bytes | Failure
    unpacked: int
    """How many bytes were read for it."""


_INVALID_ARCHIVE = "The file in the form field 'archive' is not a zip archive, or is damaged."


def _limited(found: Iterable[tuple[str, _Content]], limits: JobLimits) -> Iterator[SubmittedImage]:
    count = total = 0
    deadline = time.monotonic() + _LONGEST_SECONDS
    for name, read in found:
        count += 1
        if count > limits.images:
            raise JobTooLargeError(f"A job may have at most {limits.images} images; send several jobs.")
        total += read.unpacked
        if total > limits.bytes:
            raise JobTooLargeError(
                f"The images of a job may have at most {limits.bytes} bytes in total, unpacked; "
                "send several jobs."
            )
        if time.monotonic() > deadline:
            raise JobTooLargeError(
                f"The images could not be read within {_LONGEST_SECONDS:g} seconds; send several jobs."
            )
        content = read.data
        if isinstance(content, Failure):
            yield SubmittedImage(_label(name), b"", content)
        elif len(content) > limits.image_bytes:
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


def _read_file(file: IO[bytes], limits: JobLimits) -> _Content:
    # One byte more than allowed is enough to detect that a file is too large.
    data = file.read(limits.image_bytes + 1)
    return _Content(data, len(data))


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limits: JobLimits) -> _Content:
    # One of the other methods would let the archive choose how much memory it takes.
    if member.flag_bits & _ENCRYPTED or member.compress_type not in _DEFLATED_OR_STORED:
        return _Content(_UNREADABLE, 0)
    data = bytearray()
    wanted = 0
    try:
        with archive.open(member) as file:
            while wanted := min(_PORTION, limits.image_bytes + 1 - len(data)):
                portion = file.read(wanted)
                if not portion:
                    break
                data += portion
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError, struct.error):
        # The last portion was unpacked too, as far as it could be.
        return _Content(_DAMAGED, len(data) + wanted)
    return _Content(bytes(data), len(data))


def _check_overlap(members: Iterable[zipfile.ZipInfo]) -> None:
    """Reject archives in which members share data: a small file can then unpack to any size."""
    ordered = sorted(members, key=lambda member: member.header_offset)
    for member, following in itertools.pairwise(ordered):
        if following.header_offset < member.header_offset + _LOCAL_HEADER_BYTES + member.compress_size:
            raise ArchiveError(
                "Files in the archive overlap; send an archive that a usual program has written."
            )


def _is_clutter(member: zipfile.ZipInfo) -> bool:
    parts = member.filename.split("/")
    return member.is_dir() or "__MACOSX" in parts or parts[-1] in (".DS_Store", "Thumbs.db", "desktop.ini")


def _label(name: str) -> str:
    """Return a file's name with its folders, made safe to show and to write."""
    printable = "".join(character for character in name if character.isprintable())[-_LONGEST_NAME:]
    # On Windows, a name that begins with a drive is relative to it.
    parts = (re.sub(r"^([A-Za-z]:)+", "", part) for part in re.split(r"[/\\]", printable))
    return "/".join(part for part in parts if part.strip(". ") and not part.endswith(":"))


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
