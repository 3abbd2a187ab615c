"""Scan on the machines of a Ray cluster (extra `cluster`).

Tasks on any machine read the files. Actors with one core each examine them; an actor loads the networks once.
The machine that runs the scan receives only digests and results. File contents stay in the cluster's object
store. The scan sends the bundle, so the machines need only this package.

An actor handles a file that crashes its examiner process, as a pool on one machine does. An error that Ray
reports therefore means a lost machine or actor, never a bad image.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tamperscope._extra import require
from tamperscope.bundle import Bundle
from tamperscope.errors import ScanError, TamperscopeError
from tamperscope.method import code_digest
from tamperscope.scanning.examination import Examination, Examined, Examiner, open_examiner
from tamperscope.scanning.files import is_url, read
from tamperscope.scanning.process import ExaminerProcess
from tamperscope.scanning.scan import Fetched

# One image is examined while the next one waits, so that an actor is never idle.
_CALLS_PER_ACTOR = 2
# If one image is lost this many times, the cluster is falling apart.
_ATTEMPTS = 20
_AUTO = "auto"
_CONNECT_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class ShippedBundle:
    """Opens an examiner on a machine without the bundle, from a copy of the bundle's files."""

    files: tuple[tuple[str, bytes], ...]
    examination: Examination

    @classmethod
    def pack(cls, bundle: Bundle, examination: Examination) -> Self:
        """Return the bundle's files and the examination, ready to be sent."""
        files = sorted(path for path in bundle.path.iterdir() if path.is_file())
        return cls(tuple((path.name, path.read_bytes()) for path in files), examination)

    def __call__(self) -> Examiner:
        """Unpack the bundle, verify it again, and return an examiner that uses it."""
        with tempfile.TemporaryDirectory(prefix="tamperscope-") as folder:
            for name, content in self.files:
                (Path(folder) / name).write_bytes(content)
            return open_examiner(Path(folder), self.examination)


class ClusterPool:
    """Reads and examines files on a Ray cluster.

    Images that were in progress on a lost machine are examined again elsewhere. Machines that join the
    cluster receive work, up to `workers` actors in all.
    """

    def __init__(
        self, address: str, load: Callable[[], Examiner], largest: int, workers: int | None = None
    ) -> None:
        """Connect to the cluster at `address`; `auto` is the cluster that this machine belongs to.

        `load` must be picklable. At most `largest` + 1 bytes of a file are read. The default of `workers` is
        the number of cores that the cluster has now. Raises `MissingExtraError` when Ray is not installed and
        `ScanError` when there is no such cluster.
        """
        _connect(address)
        self._workers = workers or max(1, int(_ray().cluster_resources().get("CPU", 1)))
        self._load = load
        self._largest = largest
        self._free: asyncio.Queue[Any] = asyncio.Queue()
        self._starting: set[asyncio.Task[None]] = set()

    @property
    def capacity(self) -> int:
        """The number of images that may be in progress at once: being read, waiting or being examined."""
        return self._workers * (_CALLS_PER_ACTOR + 1)

    async def __aenter__(self) -> Self:
        """Request the actors; the scan begins as soon as the first one is ready."""
        ray = _ray()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Reading needs hardly any CPU. Without SPREAD, one machine's network would carry everything.
        self._fetch = ray.remote(num_cpus=0, num_returns=2, max_retries=-1, scheduling_strategy="SPREAD")(
            _fetch
        )
        actor = ray.remote(num_cpus=1, max_restarts=-1)(_Actor)
        # Kept for the lifetime of the pool: an actor that restarts fetches it again.
        self._stored_load = ray.put(self._load)
        for _ in range(self._workers):
            self._admit_when_ready(actor.remote(self._stored_load, code_digest()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._starting:
            task.cancel()
        self._failed.cancel()
        _ray().shutdown()

    async def fetch(self, path: str) -> Fetched[Any]:
        """Read a file on any machine; raises `UnreadableError`."""
        where = path if is_url(path) else os.path.abspath(path)  # noqa: PTH100
        sha256, content = self._fetch.remote(where, self._largest)
        try:
            return Fetched(await sha256, content)
        except _ray().exceptions.RayError as error:
            raise _cause(error) from None

    async def examine(self, fetched: Fetched[Any]) -> Examined:
        """Return the result for a file's content; raises `ScanError` when the cluster cannot."""
        errors = _ray().exceptions
        for _ in range(_ATTEMPTS):
            actor = await self._next_actor()
            try:
                examined: Examined = await actor.examine.remote(fetched.content)
            except errors.RayTaskError as error:
                raise _cause(error) from None
            except errors.RayActorError:
                # Its machine or its process is gone. Ray restarts it where there is room.
                self._admit_when_ready(actor, calls=1)
            except errors.RayError:
                # The content was lost with its machine. Ray is reading it again.
                self._free.put_nowait(actor)
            else:
                self._free.put_nowait(actor)
                return examined
        raise ScanError(
            f"The cluster lost an image {_ATTEMPTS} times; run the same command again to continue."
        )

    async def _next_actor(self) -> Any:
        """Return an actor that is ready; raises the error that kept one from starting."""
        actor = asyncio.ensure_future(self._free.get())
        await asyncio.wait({actor, self._failed}, return_when=asyncio.FIRST_COMPLETED)
        if self._failed.done():
            actor.cancel()
            self._failed.result()
        return await actor

    def _admit_when_ready(self, actor: Any, calls: int = _CALLS_PER_ACTOR) -> None:
        """Make an actor available once it has started. If its machine is gone, that may never happen."""

        async def admit() -> None:
            try:
                await actor.ready.options(max_task_retries=-1).remote()
            except (_ray().exceptions.RayTaskError, _ray().exceptions.ActorDiedError) as error:
                # A lost machine does not end an actor. This one failed to start, so none will start.
                if not self._failed.done():
                    self._failed.set_exception(_cause(error))
            except _ray().exceptions.RayError:
                return
            else:
                for _ in range(calls):
                    self._free.put_nowait(actor)

        task = asyncio.ensure_future(admit())
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)


class _Actor:
    """An examiner on one core of the cluster."""

    def __init__(self, load: Callable[[], Examiner], code: str) -> None:
        self._load = load
        self._code = code
        self._process: ExaminerProcess | None = None

    def ready(self) -> None:
        # Checked here because Ray ends an actor that raises on construction.
        if self._code != code_digest():
            raise ScanError(
                "A machine of the cluster has a different version of tamperscope or of its libraries "
                "than this machine."
            )
        if self._process is None:
            process = ExaminerProcess(self._load)
            process.wait_until_ready()
            self._process = process

    def examine(self, content: bytes) -> Examined:
        self.ready()
        assert self._process
        return self._process.examine(content)


def _fetch(path: str, largest: int) -> tuple[str, bytes]:
    content = read(path, largest)
    return hashlib.sha256(content).hexdigest(), content


def _connect(address: str) -> None:
    require("Scanning on a cluster", ["ray"], "cluster")
    # Ray sends no usage statistics unless the user asks for them.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        if address != _AUTO:
            _check_reachable(address)
        _ray().init(address=address, configure_logging=False, log_to_driver=False)
    except (OSError, ValueError, RuntimeError) as error:
        if "mismatch" in str(error):
            raise ScanError(f"The cluster at {address} has a different version of Ray or Python.") from None
        raise ScanError(f"There is no Ray cluster at {address}.") from None


def _check_reachable(address: str) -> None:
    """Raise `OSError` or `ValueError` when nothing listens at `address`; Ray would retry for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    socket.create_connection((host, int(port)), timeout=_CONNECT_TIMEOUT_SECONDS).close()


def _cause(error: Any) -> TamperscopeError:
    cause = getattr(error, "cause", error)
    if isinstance(cause, TamperscopeError):
        return cause
    return ScanError(
        f"The cluster cannot run the scan ({type(cause).__name__}). Check that all of its machines have this "
        "version of tamperscope and the extras that the scan needs."
    )


def _ray() -> Any:
    # Imported late: the import takes a second and needs the extra `cluster`.
    import ray

    return ray
