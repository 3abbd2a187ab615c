"""A corpus of files that no honest encoder writes, sent through a server.

    python tests/robustness/hostile.py --files 5000 --seed 0

This starts a server with the default model and sends it every file. No answer may be a 500 or take longer
than the limit, and the server's memory must not grow. The table shows memory and answers on the way.
"""

from __future__ import annotations

import functools
import itertools
import re
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import click
import numpy as np
import PIL.Image

sys.path.insert(0, str(Path(__file__).parents[1]))
import samples
import services

# The last one runs every measurement and reads the metadata.
PATHS = ("/classify", "/segment?include=mask", "/v1/analyses")
EXPECTED = {200, 201, 400, 413, 415, 422}
LIMIT_SECONDS = 20.0
GROWTH = 1.15
"""Allowed memory after all files, relative to the memory after the first thousand."""
_SETTLED_AFTER = 1000
_ROWS = 10


@dataclass(frozen=True)
class HostileFile:
    """One file of the corpus; the same seed and number give the same bytes."""

    name: str
    data: bytes


def damaged(count: int, seed: int) -> Iterator[HostileFile]:
    """Yield `count` broken files, cycling through every format and every kind of damage."""
    kinds = [(name, kind) for kind in DAMAGES for name in sound_files()]
    for number in range(count):
        name, kind = kinds[number % len(kinds)]
        rng = np.random.default_rng([seed, number])
        data = DAMAGES[kind](sound_files()[name], rng)
        yield HostileFile(f"{name}, {kind}, number {number}", data)


def made_by_hand() -> list[HostileFile]:
    """Return bombs, polyglots, endless lists and wrong extensions."""
    sound = sound_files()
    jpeg = sound["JPEG"]
    files = {
        "huge PNG": samples.huge_png(),
        **{
            f"PNG bomb in {kind.decode()}": samples.png_bomb(kind)
            for kind in (b"iCCP", b"zTXt", b"iTXt", b"IDAT")
        },
        "huge GIF": samples.huge_gif(),
        "huge HEIF": samples.huge_behind_a_crop("HEIF"),
        "huge AVIF": samples.huge_behind_a_crop("AVIF"),
        "narrow HEIF": samples.heif_of_a_narrow_crop(),
        "JPEG of no table": samples.jpeg_with_a_channel_of_no_table(),
        "TIFF of many pages": samples.tiff_of_many_pages(),
        **{
            f"TIFF with tag {tag}": samples.tiff_with(tag, 2**32 - 1)
            for tag in (256, 257, 258, 273, 277, 278, 279)
        },
        **samples.laborious(),
        "SVG": samples.svg(),
        "GIF of many frames": samples.several("GIF") + 5000 * b",\0\0\0\0\1\0\1\0\0\2\2D\1\0",
        "PNG of deep EXIF": samples.png(
            64, 48, (b"eXIf", b"MM\0*" + 2**16 * b"\0\0\0\x08"), (b"IDAT", pixels())
        ),
        **nested_metadata(jpeg),
        "WebP of many frames": samples.encode(
            PIL.Image.new("RGB", (32, 32)), "WEBP", save_all=True, append_images=frames(2000)
        ),
        "PNG of many frames": samples.png(
            64, 48, (b"acTL", struct.pack(">LL", 2**31 - 1, 0)), (b"IDAT", pixels())
        ),
        "JPEG and ZIP": jpeg + b"PK\x03\x04" + jpeg + b"PK\x05\x06" + bytes(18),
        "HTML and JPEG": b"<html><script>alert(1)</script>" + jpeg,
        "JPEG and HTML": jpeg[:2] + b"\xff\xfe\x00\x1f<script>alert(1)</script>   " + jpeg[2:],
        "PDF and PNG": b"%PDF-1.7\n" + sound["PNG"],
        "GIF and script": sound["GIF"][:6] + b"/*" + sound["GIF"][8:] + b"*/=1;alert(1)",
        "PNG around a JPEG": samples.png(64, 48, (b"IDAT", jpeg)),
        "maker note of many starts": with_segment(jpeg, 0xE1, b"Exif\0\0" + starts_in_a_maker_note()),
        "HEIC whose picture is its thumbnail": its_own_thumbnail(),
        "TIFF of endless pieces": endless_pieces(),
        "HEIC brand and JPEG": sound["HEIC"][:64] + jpeg,
        "nothing": b"",
        "one byte": b"\xff",
        "zeros": bytes(100_000),
        **{f"magic of {name} alone": data[:12] for name, data in sound.items()},
        **{f"{name} twice": data + data for name, data in sound.items()},
    }
    return [HostileFile(name, data) for name, data in files.items()]


def starts_in_a_maker_note() -> bytes:
    """Return EXIF whose maker note looks like the start of ten thousand pictures."""
    note = 10_000 * b"\xff\xd8\xff\xe0\0\2"
    directories = struct.pack("<HHHLLL", 1, 0x8769, 4, 1, 26, 0)
    directories += struct.pack("<HHHLLL", 1, 0x927C, 7, len(note), 44, 0)
    return b"II*\0\x08\0\0\0" + directories + note


def its_own_thumbnail() -> bytes:
    """Return a HEIC whose main picture is declared to be the thumbnail of itself."""
    data = bytearray(samples.encode(samples.photo(), "HEIF", thumbnails=[32]))
    place = data.index(b"thmb") + 4
    data[place : place + 2] = data[place + 4 : place + 6]
    return bytes(data)


def endless_pieces() -> bytes:
    """Return a TIFF of a hundred directories, each with three lists of 65,536 pieces."""
    pieces, tags = 2**16, (273, 279, 324, 325, 513, 514)
    start, length = 8 + 4 * pieces, 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHLL", tag, 4, pieces, 8) for tag in tags)
    directories = b"".join(
        struct.pack("<H", len(tags)) + entries + struct.pack("<L", start + number * length)
        for number in range(1, 101)
    )
    return b"II*\0" + struct.pack("<L", start) + pieces * b"\1\0\0\0" + directories


def nested_metadata(jpeg: bytes) -> dict[str, bytes]:
    """Return JPEGs and PNGs whose metadata refers to itself, nests deeply, or lies about its length."""
    itself = struct.pack(">2sHLH", b"MM", 42, 8, 2) + 2 * struct.pack(">HHLL", 0x8769, 4, 1, 8) + bytes(4)
    xmp = b"<x:xmpmeta>" + 60_000 // 3 * b"<a>"
    boxes = b"".join(struct.pack(">L4s", 8 * (4000 - depth), b"jumb") for depth in range(4000))
    resources = b"Photoshop 3.0\0" + 3000 * b"8BIM\x04\x04\0\0\0\0\0\0" + b"8BIM\x04\x04\0\0\xff\xff\xff\xff"
    return {
        "EXIF that points to itself": with_segment(jpeg, 0xE1, b"Exif\0\0" + itself),
        "deeply nested XMP": with_segment(jpeg, 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp),
        "XMP of a million elements": samples.png(
            64, 48, (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + 10**6 * b"<a>"), (b"IDAT", pixels())
        ),
        "deeply nested credentials": samples.png(64, 48, (b"caBX", boxes + C2PA_STORE), (b"IDAT", pixels())),
        "credentials of no meaning": with_segment(jpeg, 0xEB, b"JP\0\1\0\0\0\1" + boxes[:8] + C2PA_STORE),
        "IPTC of endless length": with_segment(jpeg, 0xED, resources),
        "MPF of many pictures": with_segment(jpeg, 0xE2, b"MPF\0" + many_pictures()),
    }


def huge_metadata() -> dict[str, Callable[[], bytes]]:
    """Return functions that make images whose metadata is huge, endless or refers to itself."""
    start = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    item = b'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="a source"/>'
    xmp = start + (48 * 2**20 // len(item)) * item + b"</rdf:RDF></x:xmpmeta>"
    texts = [(b"tEXt", b"Key %d\0" % number + 200 * b"x") for number in range(10_000)]
    loops = (
        struct.pack(">2sHL", b"MM", 42, 8)
        + struct.pack(">HHHLLL", 1, 0x8769, 4, 1, 26, 8)
        + struct.pack(">HHHLLL", 1, 0x8825, 4, 1, 8, 26)
    )

    def jpeg_with(marker: int, content: bytes) -> bytes:
        return with_segment(sound_files()["JPEG"], marker, content)

    return {
        "48 MB of XMP": lambda: samples.png(
            64, 48, (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp), (b"IDAT", pixels())
        ),
        "48 MB of one XMP value": lambda: samples.png(
            64,
            48,
            (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + start + item[:-11] + 48 * 2**20 * b"s" + item[-3:]),
            (b"IDAT", pixels()),
        ),
        "10,000 PNG texts": lambda: samples.png(64, 48, (b"IDAT", pixels()), *texts),
        "EXIF directories in a circle": lambda: jpeg_with(0xE1, b"Exif\0\0" + loops),
        "MPF of a directory that follows itself": lambda: jpeg_with(
            0xE2, b"MPF\0" + struct.pack(">2sHLHHHLLL", b"MM", 42, 8, 1, 0xB001, 4, 1, 2**31, 8)
        ),
        "MPF of many pictures": lambda: jpeg_with(0xE2, b"MPF\0" + many_pictures()),
    }


C2PA_STORE = b"c2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71"


def with_segment(jpeg: bytes, marker: int, content: bytes) -> bytes:
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content + jpeg[2:]


def many_pictures(count: int = 4000) -> bytes:
    """Return the index of a multi-picture file (CIPA DC-007) whose pictures all lie at the same offset."""
    tags = struct.pack(">HHLL", 0xB001, 4, 1, count) + struct.pack(">HHLL", 0xB002, 7, 16 * count, 38)
    return (
        struct.pack(">2sHLH", b"MM", 42, 8, 2)
        + tags
        + bytes(4)
        + count * struct.pack(">LLLHH", 0, 9, 0, 0, 0)
    )


def frames(count: int) -> list[PIL.Image.Image]:
    return [PIL.Image.new("RGB", (32, 32), (number % 256, 0, 0)) for number in range(count)]


@functools.cache
def sound_files() -> dict[str, bytes]:
    return samples.every_format()


def pixels() -> bytes:
    return zlib.compress(bytes(48 * (1 + 3 * 64)))


# Kinds of damage: each takes an intact file and returns a broken one.


def flip_bits(data: bytes, rng: np.random.Generator) -> bytes:
    broken = np.frombuffer(data, np.uint8).copy()
    for _ in range(rng.integers(1, 17)):
        broken[rng.integers(len(broken))] ^= 1 << rng.integers(8)
    return broken.tobytes()


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(len(data))]


_BOUNDARY = re.compile(rb"\xff[\xc0-\xfe]|IHDR|IDAT|IEND|VP8[ LX]|meta|iloc|ispe|mdat|\x21\xf9|\x2c\x00")


def cut_at_a_marker(data: bytes, rng: np.random.Generator) -> bytes:
    offsets = [match.start() for match in _BOUNDARY.finditer(data)] or [len(data) // 2]
    return data[: offsets[rng.integers(len(offsets))] + rng.integers(5)]


def wrong_length(data: bytes, rng: np.random.Generator) -> bytes:
    """Write an extreme number where a length, offset or size may be; most of these are near the beginning."""
    value = int(rng.choice([0, 1, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF]))
    width = 4 if value > 0xFFFF else int(rng.choice([2, 4]))
    offset = int(len(data) * rng.random() ** 4)
    order = "big" if rng.random() < 0.5 else "little"
    return data[:offset] + value.to_bytes(width, order) + data[offset + width :]


def repeat_a_part(data: bytes, rng: np.random.Generator) -> bytes:
    start, end = sorted(int(offset) for offset in rng.integers(len(data), size=2))
    return data[:end] + int(rng.integers(1, 50)) * data[start : min(end, start + 2000)] + data[end:]


def leave_out_a_part(data: bytes, rng: np.random.Generator) -> bytes:
    start, end = sorted(int(offset) for offset in rng.integers(len(data), size=2))
    return data[:start] + data[end:]


def insert_noise(data: bytes, rng: np.random.Generator) -> bytes:
    offset = int(rng.integers(len(data)))
    return data[:offset] + rng.bytes(int(rng.integers(1, 5000))) + data[offset:]


def body_of_another(data: bytes, rng: np.random.Generator) -> bytes:
    others = list(sound_files().values())
    head = int(rng.integers(4, 40))
    return data[:head] + others[rng.integers(len(others))][head:]


DAMAGES: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "bits flipped": flip_bits,
    "cut off": cut,
    "cut off at a marker": cut_at_a_marker,
    "wrong length": wrong_length,
    "part repeated": repeat_a_part,
    "part left out": leave_out_a_part,
    "noise inserted": insert_noise,
    "body of another format": body_of_another,
}


@dataclass
class Outcome:
    """How a server answered a corpus."""

    statuses: Counter[int]
    slowest: float
    failures: list[str]


def send_all(url: str, files: Iterable[HostileFile], paths: Sequence[str] = PATHS) -> Outcome:
    """Send every file to a server; an unexpected status, a missing answer or a late one is a failure."""
    outcome = Outcome(Counter(), 0.0, [])
    for path, file in zip(itertools.cycle(paths), files):
        begun = time.monotonic()
        try:
            status = post(url, path, file.data)
        except OSError as error:
            outcome.failures.append(f"{file.name}: no answer ({error!r})")
            continue
        seconds = time.monotonic() - begun
        outcome.statuses[status] += 1
        outcome.slowest = max(outcome.slowest, seconds)
        if status not in EXPECTED:
            outcome.failures.append(f"{file.name}: {status}")
        if seconds > LIMIT_SECONDS:
            outcome.failures.append(f"{file.name}: {seconds:.0f} s")
    return outcome


def post(url: str, path: str, data: bytes) -> int:
    head = b'--boundary\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    connection = HTTPConnection(urlsplit(url).netloc, timeout=3 * LIMIT_SECONDS)
    try:
        headers = {"Content-Type": "multipart/form-data; boundary=boundary"}
        connection.request("POST", path, head + data + b"\r\n--boundary--\r\n", headers)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


@click.command()
@click.option("--files", default=5000, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(files: int, seed: int) -> None:
    """Send a corpus to a server with the default model; exit with status 1 on a failure."""
    with services.tamperscope("--log-level", "warning") as (url, server):
        by_hand = made_by_hand()
        everything = damaged(files - len(by_hand), seed)
        begun = time.monotonic()
        click.echo("| files | memory MB | answers |\n|---|---|---|")
        outcomes = [send_all(url, by_hand, ["/v1/analyses"])]
        memories = []
        for count in batches(files, len(by_hand)):
            outcomes.append(send_all(url, itertools.islice(everything, count)))
            memories.append(memory(server.pid))
            statuses = sum((outcome.statuses for outcome in outcomes), Counter())
            click.echo(f"| {statuses.total()} | {memories[-1]} | {listed(statuses)} |")
        alive = server.poll() is None
        seconds = time.monotonic() - begun
    slowest = max(outcome.slowest for outcome in outcomes)
    click.echo(
        f"\n{files} files, {len(by_hand)} made by hand, in {seconds:.0f} s; slowest answer {slowest:.1f} s"
    )
    failures = [failure for outcome in outcomes for failure in outcome.failures]
    failures += [] if alive else ["the server died"]
    failures += [] if memories[-1] <= GROWTH * memories[0] else ["memory grew"]
    for failure in failures:
        click.echo(failure, err=True)
    sys.exit(bool(failures))


def batches(files: int, sent: int) -> list[int]:
    """Return how many files to send before each row: the first thousand or fifth, then equal parts."""
    first = max(1, min(_SETTLED_AFTER, files // 5) - sent)
    ends = [first + (files - sent - first) * row // (_ROWS - 1) for row in range(_ROWS)]
    return [first, *(later - earlier for earlier, later in itertools.pairwise(ends))]


def listed(statuses: Counter[int]) -> str:
    return ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))


def memory(process: int) -> int:
    """Return the resident memory of a process in megabytes, as reported by Linux."""
    text = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) // 1024


if __name__ == "__main__":
    main()
