"""Attacks on a real server: what a stranger sends must not stop it, fill it or read it.

    python tests/robustness/siege.py                # every attack, in full
    python tests/robustness/siege.py --share 0.1    # a tenth of each

Each attack has a server of its own with the default model. The table shows what was sent, what came back, and
the memory and processor time of the server. The exit code is 1 if the server gave way.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import click
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))
import samples
import services

_MEGABYTE = 2**20
_PATIENCE_SECONDS = 300


@dataclass
class Server:
    """A server under attack."""

    url: str
    process: int
    temporary: Path
    """Its temporary folder."""

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        url = urlsplit(self.url)
        return str(url.hostname), int(url.port or 0)

    def connect(self) -> socket.socket:
        """Return a new connection with a small receive buffer."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(_PATIENCE_SECONDS)
        connection.connect(self.address)
        return connection

    def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send one request, and return the status and body of the answer."""
        connection = HTTPConnection(*self.address, timeout=_PATIENCE_SECONDS)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def post(
        self, path: str, parts: Mapping[str, bytes], headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send a form with these files."""
        form = {"Content-Type": "multipart/form-data; boundary=b", **(headers or {})}
        return self.send("POST", path, multipart(parts), form)

    @property
    def alive(self) -> bool:
        """Whether it is running."""
        state = Path(f"/proc/{self.process}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state != "Z"

    @property
    def memory(self) -> int:
        """Its resident memory, in megabytes."""
        text = Path(f"/proc/{self.process}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) // 1024

    @property
    def peak(self) -> int:
        """Its greatest resident memory so far, in megabytes."""
        text = Path(f"/proc/{self.process}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) // 1024

    @property
    def cpu_seconds(self) -> float:
        """Processor time it has used so far."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def spooled(self) -> int:
        """Megabytes of its temporary files, deleted ones too."""
        total = 0
        for link in Path(f"/proc/{self.process}/fd").iterdir():
            with contextlib.suppress(OSError):
                if str(self.temporary) in str(link.readlink()):
                    total += link.stat().st_blocks * 512
        return total // _MEGABYTE


@dataclass
class Outcome:
    """What an attack achieved."""

    sent: str
    seen: str
    failures: list[str] = field(default_factory=list)

    def expect(self, holds: bool, failure: str) -> None:
        """Note a failure unless something holds."""
        if not holds:
            self.failures.append(failure)


def strange_hosts(server: Server, share: float) -> Outcome:
    """Ask under another name, as a page does after DNS rebinding."""
    evil = {"Host": "evil.example:5000"}
    photo = samples.encode(samples.photo())
    status, _ = server.post("/v1/analyses?keep=true", {"image": photo})
    id = json.loads(server.send("GET", "/v1/analyses")[1])["analyses"][0]["id"]
    asked = [
        *(("GET", path) for path in ("/", "/v1/analyses", "/v1/jobs", "/metrics", "/page/app.js")),
        *(("GET", f"/v1/analyses/{id}{rest}") for rest in ("", "/image.png", "/report.html")),
        ("DELETE", f"/v1/analyses/{id}"),
    ]
    statuses = Counter(server.send(method, path, headers=evil)[0] for method, path in asked)
    outcome = Outcome(f"{len(asked)} requests for `Host: evil.example`", _listed(statuses))
    outcome.expect(status == 201 and set(statuses) == {421}, "a strange host was answered")
    return outcome


def foreign_pages(server: Server, share: float) -> Outcome:
    """Send what any web page may send without asking first."""
    photo = samples.encode(samples.photo())
    pages = (
        {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    )
    statuses: Counter[int] = Counter()
    for page in pages:
        statuses[server.post("/v1/analyses?keep=true", {"image": photo}, page)[0]] += 1
        statuses[server.post("/v1/jobs", {"image": photo}, page)[0]] += 1
        statuses[server.send("POST", f"/v1/jobs/{'0' * 32}/cancel", headers=page)[0]] += 1
        statuses[server.send("DELETE", f"/v1/analyses/{'0' * 32}", headers=page)[0]] += 1
    contract = server.post("/classify", {"image": photo}, pages[1])[0]
    outcome = Outcome(
        f"{statuses.total()} writes from foreign pages, 1 `/classify`", f"{_listed(statuses)}; {contract}"
    )
    outcome.expect(set(statuses) == {403}, "a foreign page could write")
    outcome.expect(contract == 200, "/classify is closed to pages")
    return outcome


def pipelined_requests(server: Server, share: float) -> Outcome:
    """Send many small requests for large answers on each connection, and read nothing."""
    count = max(10, round(60 * share))
    block = 199 * b"GET /page/Roboto-Regular.ttf HTTP/1.1\r\n\r\n"
    before = server.memory
    silent = [server.connect() for _ in range(count)]
    for connection in silent:
        connection.sendall(block)
    alive = [server.send("GET", "/health")[0] for _ in range(20)]
    _settle(server)
    after = server.memory
    for connection in silent:
        connection.close()
    outcome = Outcome(
        f"{count} connections with 199 requests for a font each, nothing read",
        f"{before} to {after} MB; /health {_listed(Counter(alive))}",
    )
    outcome.expect(after - before < 1.5 * count + 20, "memory grew with each connection")
    return outcome


def damaged_archive(server: Server, share: float) -> Outcome:
    """Send a small archive whose members inflate to much and are all damaged."""
    count = max(20, round(1000 * share))
    archive = overlapping_archive(count, 49_000_000)
    before = server.cpu_seconds
    begun = time.monotonic()
    try:
        status = server.post("/v1/jobs", {"archive": archive})[0]
    except OSError:
        status = 0
    seconds, cpu = time.monotonic() - begun, server.cpu_seconds - before
    other = server.post("/v1/analyses", {"image": samples.encode(samples.photo())})[0]
    outcome = Outcome(
        f"a zip of {len(archive) // 1000} kB with {count} damaged members of 49 MB",
        f"{status or 'no answer'} after {seconds:.0f} s, {cpu:.0f} CPU s; analysis after it {other}",
    )
    outcome.expect(status in (413, 415), "the archive was taken")
    outcome.expect(other in (200, 201), "nothing else could be stored")
    return outcome


def announced_uploads(server: Server, share: float) -> Outcome:
    """Announce large uploads without a key, and send as much as the server takes."""
    amount = round(300 * share) * _MEGABYTE
    connections = [server.connect() for _ in range(3)]
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    taken = 0
    answers: Counter[str] = Counter()
    for connection in connections:
        connection.sendall(head + b"Content-Length: 530000000\r\n\r\n")
        with contextlib.suppress(OSError):
            while taken < amount:
                connection.sendall(bytes(_MEGABYTE))
                taken += _MEGABYTE
    spooled = server.spooled
    for connection in connections:
        connection.settimeout(1)
        with contextlib.suppress(OSError):
            answers[connection.recv(12).decode()[9:]] += 1
        connection.close()
    outcome = Outcome(
        "3 uploads of 530 MB announced without a key",
        f"{taken // _MEGABYTE} MB taken, {spooled} MB on disk; {_listed(answers) or 'no answer'}",
    )
    outcome.expect(spooled < 10, "uploads without a key were kept")
    outcome.expect(answers == {"401": 3}, "uploads without a key were not refused")
    return outcome


def half_open_connections(server: Server, share: float) -> Outcome:
    """Open more connections than the server keeps, and send half a request on each."""
    count = round(600 * share) + 20
    waiting = []
    with contextlib.suppress(OSError):
        for _ in range(count):
            connection = socket.create_connection(server.address, timeout=5)
            connection.sendall(b"GET / HTTP/1.1\r\nHo")
            waiting.append(connection)
    begun = time.monotonic()
    status = server.send("GET", "/health")[0]
    seconds = time.monotonic() - begun
    for connection in waiting:
        connection.close()
    outcome = Outcome(f"{count} half-open connections", f"/health {status} after {seconds:.1f} s")
    outcome.expect(status == 200 and seconds < 5, "/health was delayed")
    return outcome


def verbose_metadata(server: Server, share: float) -> Outcome:
    """Send a small picture with much XMP, which names a program in each line."""
    size = round(48 * share) * _MEGABYTE
    data = webp_with_programs(size)
    before = server.cpu_seconds
    status, answer = server.post("/v1/analyses", {"image": data})
    outcome = Outcome(
        f"a WebP with {size // _MEGABYTE} MB of XMP",
        f"{status}, answer of {len(answer) // 1000} kB, {server.cpu_seconds - before:.0f} CPU s",
    )
    outcome.expect(len(answer) < _MEGABYTE, "the answer is as long as the metadata")
    return outcome


def gigantic_photo(server: Server, share: float) -> Outcome:
    """Send the largest photo allowed, half of which is copied."""
    side = round(10_000 * min(1, share**0.5))
    data = samples.encode(copied_halves(samples.scene(side, side)), "JPEG", quality=85)
    before = server.cpu_seconds
    begun = time.monotonic()
    try:
        status = server.post("/v1/analyses", {"image": data})[0]
    except (OSError, HTTPException):
        status = 0
    seconds = time.monotonic() - begun
    outcome = Outcome(
        f"a JPEG of {side * side // 10**6} megapixels and {len(data) // 1000} kB, half of it a copy",
        f"{status or 'no answer'} after {seconds:.0f} s, {server.cpu_seconds - before:.0f} CPU s",
    )
    outcome.expect(status in (201, 422), "no answer")
    return outcome


def silent_receivers(server: Server, share: float) -> Outcome:
    """Have webhooks sent to receivers that never answer, then one to an honest receiver."""
    with contextlib.ExitStack() as opened:
        silent = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(8)]
        honest = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        honest.settimeout(_PATIENCE_SECONDS)
        for number, receiver in enumerate((*silent, honest)):
            begun = time.monotonic()
            fields = {
                "webhook": f"http://127.0.0.1:{receiver.getsockname()[1]}/".encode(),
                "webhook_secret": b"whsec_" + 40 * b"A",
            }
            body = multipart({"image": samples.encode(samples.photo(seed=number))}, fields)
            server.send("POST", "/v1/jobs", body, {"Content-Type": "multipart/form-data; boundary=b"})
        try:
            honest.accept()
            seconds = time.monotonic() - begun
        except TimeoutError:
            seconds = float(_PATIENCE_SECONDS)
    outcome = Outcome("8 webhooks to receivers that never answer", f"an honest one after {seconds:.0f} s")
    outcome.expect(seconds < 30, "the honest receiver waited for the others")
    return outcome


def stop_in_the_middle(server: Server, share: float) -> Outcome:
    """Send the largest photo allowed in a job, ask for something else, then stop the server."""
    side = round(10_000 * min(1, share**0.5))
    halves = copied_halves(samples.photo(side, side))
    server.post("/v1/jobs", {"image": samples.encode(halves, "JPEG", quality=60)})
    while not re.search(rb"\ntamperscope_analyses_running 1", server.send("GET", "/metrics")[1]):
        time.sleep(0.1)
    begun = time.monotonic()
    status = server.post("/classify", {"image": samples.encode(samples.photo())})[0]
    waited = time.monotonic() - begun
    server.post("/v1/jobs", {"image": samples.encode(halves, "JPEG", quality=61)})
    while not re.search(rb"\ntamperscope_analyses_running 1", server.send("GET", "/metrics")[1]):
        time.sleep(0.1)
    begun = time.monotonic()
    os.kill(server.process, signal.SIGTERM)
    ended = os.waitid(os.P_PID, server.process, os.WEXITED | os.WNOWAIT)
    seconds = time.monotonic() - begun
    outcome = Outcome(
        f"a JPEG of {side * side // 10**6} megapixels in a job, another request, then SIGTERM",
        f"the request {status} after {waited:.0f} s, exit code {ended.si_status} after {seconds:.0f} s",
    )
    outcome.expect(status == 200, "a job cost another request its answer")
    outcome.expect(ended.si_status == 0 and seconds < 75, "SIGTERM was not obeyed")
    return outcome


ATTACKS: dict[str, tuple[Callable[[Server, float], Outcome], tuple[str, ...]]] = {
    "hosts": (strange_hosts, ()),
    "pages": (foreign_pages, ()),
    "pipelining": (pipelined_requests, ()),
    "archive": (damaged_archive, ()),
    "announced": (announced_uploads, ("--keys",)),
    "half-open": (half_open_connections, ()),
    "metadata": (verbose_metadata, ()),
    "gigantic": (gigantic_photo, ()),
    "webhooks": (silent_receivers, ("--webhooks", "any")),
    "stop": (stop_in_the_middle, ()),
}
"""Each attack by its name, and whether its server has keys."""


@contextlib.contextmanager
def started(*options: str) -> Iterator[Server]:
    """Run a server in a folder of its own; `--keys` gives it a keys file with one key."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "tmp").mkdir()
        if "--keys" in options:
            made = [
                sys.executable,
                "-m",
                "tamperscope",
                "keys",
                "create",
                "siege",
                "--file",
                f"{folder}/k.json",
            ]
            subprocess.run(made, capture_output=True, check=True)
            options = (*options, f"{folder}/k.json")
        environment = {**os.environ, "TMPDIR": str(home / "tmp")}
        with services.tamperscope("--log-level", "error", *options, environment=environment) as (url, server):
            yield Server(url, server.pid, home / "tmp")


def multipart(files: Mapping[str, bytes], fields: Mapping[str, bytes] | None = None) -> bytes:
    """Return a form with these files and text fields, and the boundary `b`."""
    parts = [(f'name="{name}"; filename="a"', data) for name, data in files.items()]
    parts += [(f'name="{name}"', data) for name, data in (fields or {}).items()]
    head = "--b\r\nContent-Disposition: form-data; {}\r\n\r\n"
    return b"".join(head.format(name).encode() + data + b"\r\n" for name, data in parts) + b"--b--\r\n"


def overlapping_archive(count: int, size: int) -> bytes:
    """Return a zip archive of `count` members that share one compressed block of zeros with a wrong CRC."""
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packed.compress(bytes(size)) + packed.flush()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for number in range(count):
            info = zipfile.ZipInfo("a.png")
            # Written as a stored member of the compressed bytes, then described as a deflated one.
            if number == 0:
                archive.writestr(info, block)
                first = info
            else:
                info.header_offset = first.header_offset
                archive.filelist.append(info)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.compress_size, info.file_size, info.CRC = len(block), size, 1
        archive._didModify = True  # type: ignore[attr-defined]
    data = bytearray(buffer.getvalue())
    # The local header, which zipfile wrote for a stored member of the first name.
    data[8:10] = (8).to_bytes(2, "little")
    return bytes(data)


def webp_with_programs(size: int) -> bytes:
    """Return a WebP of 64 x 64 pixels with about `size` bytes of XMP that name a new program in each line."""
    line = "<xmp:CreatorTool>{:07}</xmp:CreatorTool>"
    count = size // len(line.format(0))
    xmp = "".join(line.format(number) for number in range(count)).encode()
    return samples.encode(samples.photo(64, 64), "WEBP", xmp=xmp)


def copied_halves(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture whose left half is copied onto its right half."""
    copied = picture.copy()
    half = picture.shape[1] // 2
    copied[:, half : 2 * half] = copied[:, :half]
    return copied


def _listed(counts: Counter) -> str:
    return ", ".join(f"{count} x {status}" for status, count in sorted(counts.items()))


def _settle(server: Server) -> None:
    """Return when the server uses no processor time, or after a while."""
    for _ in range(60):
        before = server.cpu_seconds
        time.sleep(0.5)
        if server.cpu_seconds - before < 0.05:
            return


@click.command()
@click.option("--share", default=1.0, show_default=True, help="Share of each attack, 0 to 1.")
@click.argument("names", nargs=-1, type=click.Choice(list(ATTACKS)))
def main(share: float, names: tuple[str, ...]) -> None:
    """Attack servers with the default model; exit with status 1 if one gives way."""
    failures = []
    click.echo("| sent | seen | peak MB | CPU s |\n|---|---|---|---|")
    for name in names or ATTACKS:
        attack, options = ATTACKS[name]
        with started(*options) as server:
            outcome = attack(server, share)
            used = f"{server.peak} | {server.cpu_seconds:.1f}" if server.alive else "– | –"
            click.echo(f"| {outcome.sent} | {outcome.seen} | {used} |")
        failures += [f"{name}: {failure}" for failure in outcome.failures]
    for failure in failures:
        click.echo(failure, err=True)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
