"""Compare the speed of the server with that of a plain one that has the same weights.

    python benchmarks/serving.py --out serving.md    # every case, about eight minutes on two cores
    python benchmarks/serving.py --quick             # fewer clients and shorter cases, under four minutes
    python benchmarks/serving.py --linear            # cost per megapixel, this server only
    python benchmarks/serving.py --memory            # 5,000 mixed requests (--requests), this server only

All servers run on this machine, one after the other, and answer `/segment` with all three pictures. The plain
server computes the networks only, so this server is also measured without evidence. Needs the extra `train`,
and Linux, where /proc shows the memory and the processor time of other processes.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import click
import numpy as np
import PIL.Image

from tamperscope.bundle import Bundle

ROOT = Path(__file__).parents[1]
SIZES = {"512 x 512": (512, 512), "1600 x 1200": (1600, 1200), "4000 x 3000": (4000, 3000)}
CLIENTS = (1, 4, 16)
QUICK = {"512 x 512": (1, 4), "1600 x 1200": (1,), "4000 x 3000": (1,)}
LINEAR = ((512, 384), (640, 480), (800, 600), (1024, 768), (1448, 1086), (2048, 1536), (2304, 1728))
STAGES = ("decode", "inference", "encode")
CASE_SECONDS, QUICK_CASE_SECONDS = 10.0, 4.0
LONGEST_CASE_SECONDS = 180.0
PATIENCE_SECONDS = 900
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Case:
    """The measurements of one server with one image size and a number of clients."""

    seconds: float = 0.0
    """Seconds from the start to the last answer that counts."""
    processor_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    clients: int = 1
    failures: int = 0
    stages: dict[str, float] = field(default_factory=dict)
    """Mean seconds of each stage of an answer."""

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds if self.latencies else 0.0

    def latency(self, share: float) -> str:
        """Return a quantile of the latencies, in seconds, as text.

        A `>` precedes it when there are few answers: most of them found a short queue, and other requests are
        still waiting.
        """
        sign = ">" if self.clients > 1 and len(self.latencies) < 2 * self.clients else ""
        return f"{sign}{np.quantile(self.latencies, share):.2f}"


@click.command()
@click.option(
    "--bundle", type=click.Path(exists=True, file_okay=False, path_type=Path), default=ROOT / "model"
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Also write the tables to this file."
)
@click.option("--quick", is_flag=True, help="Use fewer clients and shorter cases, under four minutes.")
@click.option(
    "--image",
    "sizes",
    type=click.Choice(list(SIZES)),
    multiple=True,
    default=list(SIZES),
    help="Measure only images of this size.",
)
@click.option(
    "--photo",
    "photos",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="Measure this photo as it is, instead of the sample, with one client.",
)
@click.option("--linear", is_flag=True, help="Measure the cost per megapixel, for this server only.")
@click.option("--memory", is_flag=True, help="Measure memory over mixed requests, for this server only.")
@click.option(
    "--requests",
    default=5000,
    show_default=True,
    type=click.IntRange(201),
    help="Number of requests for --memory.",
)
def main(
    bundle: Path,
    out: Path | None,
    quick: bool,
    sizes: tuple[str, ...],
    photos: tuple[Path, ...],
    linear: bool,
    memory: bool,
    requests: int,
) -> None:
    """Print the tables of docs/measurements/performance.md."""
    lines: list[str] = []

    def say(line: str) -> None:
        click.echo(line)
        lines.append(line)
        if out:
            out.write_text("\n".join(lines) + "\n")

    with tempfile.TemporaryDirectory() as folder:
        ours = Server("tamperscope", serve_command(bundle, Path(folder)))
        if linear:
            return report_linear(ours, say)
        if memory:
            return report_memory(ours, requests, say)
        reference = Server(
            "reference",
            [sys.executable, str(ROOT / "benchmarks" / "reference_server.py"), "{port}", str(bundle)],
        )
        networks = Server(
            "tamperscope, no evidence", serve_command(bundle, Path(folder), "--evidence", "off")
        )
        loaded = Bundle.load(bundle)
        plan = QUICK if quick else dict.fromkeys(SIZES, CLIENTS)
        pictures = {size: jpeg(*SIZES[size]) for size in sizes}
        cases = [(size, clients) for size in sizes for clients in plan[size]]
        if photos:
            pictures = {photo.stem: photo.read_bytes() for photo in photos}
            cases = [(name, 1) for name in pictures]
        seconds = QUICK_CASE_SECONDS if quick else CASE_SECONDS
        named = f"{loaded.name} {loaded.version}"
        report_speed(reference, (networks, ours), pictures, cases, seconds, named, say)
    return None


def serve_command(bundle: Path, folder: Path, *more: str) -> list[str]:
    # The queue has room for every client, so that work is measured and not rejections.
    options = ["--port", "{port}", "--model", str(bundle), "--queue", "32", "--timeout", "3600"]
    own = ["--cache", str(folder / "cache"), "--database", f"sqlite:///{folder / 'analyses.db'}"]
    return [sys.executable, "-m", "tamperscope", "serve", *options, *own, "--log-level", "warning", *more]


# The tables


def report_speed(
    reference: Server,
    ours: tuple[Server, ...],
    pictures: Mapping[str, bytes],
    cases: list[tuple[str, int]],
    seconds: float,
    bundle: str,
    say: Callable[[str], None],
) -> None:
    versions = ", ".join(f"{name} {version(name)}" for name in ("openvino", "torch"))
    say(f"{processor()}, {os.cpu_count()} cores; {versions}; bundle {bundle}\n")
    with ours[0].running():
        cold = ours[0].ready_after[0]
    found: dict[tuple[str, int, str], Case] = {}
    try:
        for server in (reference, *ours):
            for size, clients in cases:
                click.echo(f"{server.name}, {size}, {clients} clients", err=True)
                found[size, clients, server.name] = server.measure(pictures[size], clients, seconds)
            server.end()
    finally:
        # Print what was measured even when the run is interrupted.
        for server in (reference, *ours):
            server.end()
        columns = ("image", "clients", "server", "answers", "images/s", "times faster", "p50 s", "p95 s")
        columns += ("processor s", *(f"{stage} s" for stage in STAGES))
        say(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
        for (size, clients), server in itertools.product(cases, (reference, *ours)):
            if case := found.get((size, clients, server.name)):
                base = found[size, clients, reference.name].rate
                say(f"| {size} | {clients} | {server.name} | {row(case, base)} |")
    say("\n| server | ready after s | peak memory MB |\n|---|---|---|")
    for server in (reference, *ours):
        say(f"| {server.name} | {server.ready_after[-1]:.1f} | {server.peak_memory:.0f} |")
    say(f"\nThe very first start, which compiles the networks: {cold:.1f} s.")


def row(case: Case, base: float) -> str:
    if not case.latencies:
        return f"0 ({case.failures} failed)" + " | –" * 8
    stages = [f"{case.stages.get(stage, float('nan')):.2f}" for stage in STAGES]
    faster = f"{case.rate / base:.1f}" if base else "–"
    cells = [f"{case.rate:.2f}", faster, case.latency(0.5), case.latency(0.95)]
    answers = f"{len(case.latencies)}" + (f" ({case.failures} failed)" if case.failures else "")
    return " | ".join([answers, *cells, f"{case.processor_seconds / len(case.latencies):.2f}", *stages])


def report_linear(ours: Server, say: Callable[[str], None]) -> None:
    columns = ("image", "megapixels", "seconds", "seconds per megapixel", "processor seconds per megapixel")
    say(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for width, height in LINEAR:
        case = ours.measure(jpeg(width, height), 1, QUICK_CASE_SECONDS)
        seconds, megapixels = float(np.median(case.latencies)), width * height / 1e6
        per_image = case.processor_seconds / len(case.latencies)
        cells = f"{seconds:.2f} | {seconds / megapixels:.2f} | {per_image / megapixels:.2f}"
        say(f"| {width} x {height} | {megapixels:.2f} | {cells} |")
    ours.end()


def report_memory(ours: Server, requests: int, say: Callable[[str], None]) -> None:
    mixed = [jpeg(*size) for size in ((256, 192), (96, 64), (130, 100), (64, 300))]
    mixed += [b"text", b"", mixed[0][:1000], mixed[0][:-1000]]
    turns = itertools.cycle(itertools.product(("/segment", "/classify"), mixed))
    statuses: Counter[int] = Counter()
    say("| after requests | memory MB | threads | open files |\n|---|---|---|---|")
    with ours.running() as process, ThreadPoolExecutor(4) as threads:
        done = 0
        for goal in (200, requests):
            todo = list(itertools.islice(turns, goal - done))
            for found, _ in threads.map(lambda turn: post(ours.port, *turn), todo):
                statuses[found] += 1
            done = goal
            files = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
            memory, running = status(process, "VmRSS") / 1024, status(process, "Threads")
            say(f"| {done} | {memory:.0f} | {running} | {files} |")
    say(f"\nAnswers by status: {dict(sorted(statuses.items()))}")


# Measuring


class Server:
    """A server in its own process, started when it is needed."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.port = 0
        self.ready_after: list[float] = []
        """Seconds that each start has taken so far."""
        self.peak_memory = 0.0
        """Megabytes, the maximum over all its processes so far."""
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        try:
            yield self._started()
        finally:
            self.end()

    def measure(self, data: bytes, clients: int, seconds: float) -> Case:
        """Run concurrent clients for `seconds`; each sends its next request as soon as it has an answer.

        The case ends with the first answer after that time. Requests that are still waiting are abandoned: a
        server that needs minutes for its queue is stopped, and started again for the next case.
        """
        process = self._started()
        case, lock, over = Case(clients=clients), threading.Lock(), threading.Event()
        stages_before, processor_before = self._stages(), processor_seconds(process)
        timings: Counter[str] = Counter()
        begun = time.perf_counter()

        def client() -> None:
            while True:
                with lock:
                    if over.is_set():
                        return
                sent = time.perf_counter()
                found, timing = post(self.port, "/segment", data)
                now = time.perf_counter()
                with lock:
                    if over.is_set():
                        return
                    if found != 200:
                        case.failures += 1
                        if found == 0:
                            over.set()
                        continue
                    case.latencies.append(now - sent)
                    case.seconds = now - begun
                    for stage, milliseconds in re.findall(r"(\w+);dur=([\d.]+)", timing):
                        timings[stage] += float(milliseconds) / 1000
                    if case.seconds > seconds:
                        over.set()

        threads = [threading.Thread(target=client, daemon=True) for _ in range(clients)]
        for thread in threads:
            thread.start()
        over.wait(LONGEST_CASE_SECONDS)
        over.set()
        with lock:
            case.processor_seconds = processor_seconds(process) - processor_before
        if timings:
            case.stages = {stage: total / len(case.latencies) for stage, total in timings.items()}
        else:
            case.stages = {
                stage: (total - stages_before[stage][0]) / max(1, count - stages_before[stage][1])
                for stage, (total, count) in self._stages().items()
                if stage in stages_before
            }
        patience = time.perf_counter() + 2
        for thread in threads:
            thread.join(max(0.0, patience - time.perf_counter()))
        if any(thread.is_alive() for thread in threads):
            self.end()
        for thread in threads:
            thread.join()
        return case

    def end(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self.peak_memory = max(self.peak_memory, status(self._process, "VmHWM") / 1024)
            self._process.kill()
        self._process.wait()
        self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        begun = time.perf_counter()
        command = [part.format(port=self.port) for part in self._command]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not self._is_ready():
            if self._process.poll() is not None:
                raise click.ClickException(f"{self.name} ended before it was ready.")
            time.sleep(0.02)
        self.ready_after.append(time.perf_counter() - begun)
        # The very first answer is slower on every server.
        post(self.port, "/segment", jpeg(256, 256))
        return self._process

    def _stages(self) -> dict[str, tuple[float, float]]:
        """Return total seconds and count of each stage so far; empty when the server has no metrics."""
        try:
            found, content = ask(self.port, "GET", "/metrics")
        except (OSError, HTTPException):
            return {}
        lines = content.decode() if found == 200 else ""
        pattern = r'^tamperscope_stage_seconds_{}{{stage="(\w+)"}} (\S+)'
        sums, counts = (dict(re.findall(pattern.format(kind), lines, re.M)) for kind in ("sum", "count"))
        return {stage: (float(sums[stage]), float(counts[stage])) for stage in sums}

    def _is_ready(self) -> bool:
        try:
            return ask(self.port, "GET", "/ready")[0] == 200
        except (OSError, HTTPException):
            return False


def post(port: int, path: str, data: bytes) -> tuple[int, str]:
    """Send an image; return the status (0 when the connection broke) and the header Server-Timing."""
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        connection.request("POST", path, head + data + b"\r\n--x--\r\n", headers)
        response = connection.getresponse()
        response.read()
        return response.status, response.headers.get("Server-Timing", "")
    except (OSError, HTTPException):
        return 0, ""
    finally:
        connection.close()


def ask(port: int, method: str, path: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def status(process: subprocess.Popen[bytes], name: str) -> int:
    """Return a number from /proc/<pid>/status; sizes are in kB."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)[1])


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """Return the processor time that a process has used so far, user and kernel together, in seconds."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found[1] if found else "unknown processor"


@functools.cache
def jpeg(width: int, height: int) -> bytes:
    """Return the sample photo as a JPEG of another size.

    Noise replaces the grain that scaling removes.
    """
    photo = PIL.Image.open(ROOT / "docs" / "images" / "sample.jpg").convert("RGB").resize((width, height))
    grain = np.random.default_rng(0).normal(0, 4, (height, width, 1))
    noisy = (np.asarray(photo) + grain).clip(0, 255).astype(np.uint8)
    file = BytesIO()
    PIL.Image.fromarray(noisy).save(file, "JPEG", quality=90)
    return file.getvalue()


if __name__ == "__main__":
    main()
