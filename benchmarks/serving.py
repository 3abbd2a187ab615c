"""How fast the server answers, beside a plain one with the same weights.

    python benchmarks/serving.py              # every case, about half an hour on two cores
    python benchmarks/serving.py --quick      # fewer clients and images, below eight minutes
    python benchmarks/serving.py --linear     # cost per megapixel, this server alone
    python benchmarks/serving.py --memory     # 5,000 mixed requests, this server alone

Both servers run on this machine, one after the other, and answer `/segment` with all three pictures. Needs
the extra `train` and Linux, whose /proc tells the memory of another process.
"""

from __future__ import annotations

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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path

import click
import numpy as np
import PIL.Image

ROOT = Path(__file__).parents[1]
SIZES = {"512 x 512": (512, 512), "1600 x 1200": (1600, 1200), "4000 x 3000": (4000, 3000)}
STAGES = ("decode", "inference", "encode")
PATIENCE_SECONDS = 900


@dataclass
class Case:
    """What was measured with one server, one size of image and some clients."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    refusals: int = 0
    stages: dict[str, float] = field(default_factory=dict)
    """Mean seconds of each stage of an answer."""

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds if self.latencies else 0.0


@click.command()
@click.option(
    "--bundle", type=click.Path(exists=True, file_okay=False, path_type=Path), default=ROOT / "model"
)
@click.option("--quick", is_flag=True, help="Fewer clients and images, below eight minutes.")
@click.option("--linear", is_flag=True, help="Cost per megapixel, this server alone.")
@click.option("--memory", is_flag=True, help="Memory over 5,000 mixed requests, this server alone.")
def main(bundle: Path, quick: bool, linear: bool, memory: bool) -> None:
    """Print the tables of docs/performance.md."""
    with tempfile.TemporaryDirectory() as folder:
        ours = Server("tamperscope", serve_command(bundle), Path(folder))
        if linear:
            return report_linear(ours)
        if memory:
            return report_memory(ours, 5000)
        reference = Server(
            "reference",
            [sys.executable, str(ROOT / "benchmarks" / "reference_server.py"), "{port}", str(bundle)],
        )
        report_speed(ours, reference, quick)
    return None


def serve_command(bundle: Path) -> list[str]:
    # As many may wait as there are clients: what is measured is work, not refusals.
    options = ["--port", "{port}", "--model", str(bundle), "--queue", "32", "--timeout", "3600"]
    return [sys.executable, "-m", "tamperscope", "serve", *options, "--log-level", "warning"]


# The tables


def report_speed(ours: Server, reference: Server, quick: bool) -> None:
    with ours.running() as (_, cold):
        pass
    results: dict[tuple[str, str, int], Case] = {}
    print("| server | ready after s | peak memory MB |\n|---|---|---|")
    for server in (reference, ours):
        with server.running() as (process, ready):
            for (name, size), clients in cases(quick):
                results[server.name, name, clients] = measure(server, jpeg(*size), clients, quick)
            note = f" (first start ever: {cold:.1f})" if server is ours else ""
            print(f"| {server.name} | {ready:.1f}{note} | {status(process, 'VmHWM') / 1024:.0f} |")
    columns = (
        "image",
        "clients",
        "server",
        "images/s",
        "p50 s",
        "p95 s",
        *(f"{stage} s" for stage in STAGES),
    )
    print(f"\n| {' | '.join(columns)} | times faster |\n|{'---|' * (len(columns) + 1)}")
    for (name, _), clients in cases(quick):
        base = results[reference.name, name, clients].rate
        for server in (reference, ours):
            case = results[server.name, name, clients]
            faster = f"{case.rate / base:.1f}" if base else "–"
            print(f"| {name} | {clients} | {server.name} | {row(case)} | {faster} |")


def report_linear(ours: Server) -> None:
    print("| image | megapixels | seconds | seconds per megapixel |\n|---|---|---|---|")
    with ours.running():
        for width, height in ((512, 384), (1024, 768), (1448, 1086), (2048, 1536), (2304, 1728)):
            case = measure(ours, jpeg(width, height), 1, quick=True)
            seconds, megapixels = float(np.median(case.latencies)), width * height / 1e6
            print(f"| {width} x {height} | {megapixels:.2f} | {seconds:.2f} | {seconds / megapixels:.2f} |")


def report_memory(ours: Server, requests: int) -> None:
    mixed = [jpeg(*size) for size in ((256, 192), (96, 64), (130, 100), (64, 300))]
    mixed += [b"text", b"", mixed[0][:1000], mixed[0][:-1000]]
    turns = itertools.cycle(itertools.product(("/segment", "/classify"), mixed))
    statuses: Counter[int] = Counter()
    print("| after requests | memory MB | threads | open files |\n|---|---|---|---|")
    with ours.running() as (process, _), ThreadPoolExecutor(4) as threads:
        done = 0
        for goal in (200, requests):
            todo = list(itertools.islice(turns, goal - done))
            for found, _ in threads.map(lambda turn: post(ours.port, *turn), todo):
                statuses[found] += 1
            done = goal
            files = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
            print(
                f"| {done} | {status(process, 'VmRSS') / 1024:.0f} | {status(process, 'Threads')} | {files} |"
            )
    print(f"\nAnswers by status: {dict(sorted(statuses.items()))}")


def cases(quick: bool) -> Iterator[tuple[tuple[str, tuple[int, int]], int]]:
    plan = (
        {"512 x 512": (1, 4), "1600 x 1200": (1,), "4000 x 3000": (1,)}
        if quick
        else dict.fromkeys(SIZES, (1, 4, 16))
    )
    for name, size in SIZES.items():
        for clients in plan[name]:
            yield (name, size), clients


def row(case: Case) -> str:
    if not case.latencies:
        return "0 | – | – | – | – | –"
    p50, p95 = np.percentile(case.latencies, (50, 95))
    stages = " | ".join(f"{case.stages.get(stage, float('nan')):.2f}" for stage in STAGES)
    return f"{case.rate:.2f} | {p50:.2f} | {p95:.2f} | {stages}"


# The measuring


class Server:
    """A server as a process of its own."""

    def __init__(self, name: str, command: list[str], cache: Path | None = None) -> None:
        self.name = name
        self.port = 0
        self._command = command
        self._environment = os.environ | ({"TAMPERSCOPE_CACHE": str(cache)} if cache else {})

    @contextmanager
    def running(self) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
        """Start it; gives the process and the seconds until it was ready."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        begun = time.perf_counter()
        process = subprocess.Popen(
            [part.format(port=self.port) for part in self._command],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while not self._is_ready():
                if process.poll() is not None:
                    raise click.ClickException(
                        f"{self.name} ended with {process.returncode} before it was ready."
                    )
                time.sleep(0.02)
            yield process, time.perf_counter() - begun
        finally:
            process.terminate()
            process.wait()

    def stage_sums(self) -> dict[str, float]:
        """Return the seconds spent in each stage so far, as far as the server has figures."""
        found, content = ask(self.port, "GET", "/metrics")
        pattern = r'^tamperscope_stage_seconds_sum\{stage="(\w+)"\} (\S+)'
        sums = re.findall(pattern, content.decode(), re.MULTILINE) if found == 200 else []
        return {stage: float(value) for stage, value in sums}

    def _is_ready(self) -> bool:
        try:
            return ask(self.port, "GET", "/ready")[0] == 200
        except OSError:
            return False


def measure(server: Server, data: bytes, clients: int, quick: bool) -> Case:
    """Let so many clients ask, each as soon as it is answered, until the time is over."""
    post(server.port, "/segment", data)
    case = Case()
    lock = threading.Lock()
    stages: Counter[str] = Counter()
    before = server.stage_sums()
    begun = time.perf_counter()
    until = begun + (6 if quick else 30)

    def client() -> None:
        while time.perf_counter() < until:
            sent = time.perf_counter()
            found, timing = post(server.port, "/segment", data)
            with lock:
                if found == 200:
                    case.latencies.append(time.perf_counter() - sent)
                else:
                    case.refusals += 1
                for stage, milliseconds in re.findall(r"(\w+);dur=([\d.]+)", timing):
                    stages[stage] += float(milliseconds) / 1000

    with ThreadPoolExecutor(clients) as threads:
        for each in [threads.submit(client) for _ in range(clients)]:
            each.result()
    case.seconds = time.perf_counter() - begun
    sums = stages or {stage: total - before.get(stage, 0) for stage, total in server.stage_sums().items()}
    case.stages = {stage: total / max(1, len(case.latencies)) for stage, total in sums.items()}
    return case


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
    except OSError:
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
    """Return a figure of /proc/<pid>/status; sizes are in kB."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)[1])


def jpeg(width: int, height: int) -> bytes:
    """The sample photo in another size, with the grain that scaling takes away."""
    photo = PIL.Image.open(ROOT / "docs" / "images" / "sample.jpg").convert("RGB").resize((width, height))
    grain = np.random.default_rng(0).normal(0, 4, (height, width, 1))
    noisy = (np.asarray(photo) + grain).clip(0, 255).astype(np.uint8)
    file = BytesIO()
    PIL.Image.fromarray(noisy).save(file, "JPEG", quality=90)
    return file.getvalue()


if __name__ == "__main__":
    main()
