"""The same examinations on the machines of a Ray cluster (extra `cluster`).

Files are read by tasks on any machine and examined by actors, one core each, that load the networks once. The
machine that runs the scan only sees digests and findings; contents stay in the cluster's object store. The
bundle travels with the scan, so the machines need this package and nothing else.

A file that ends its process is the actor's affair, as it is on one machine; whatever Ray reports is then a
machine or an actor that is lost, never the fault of an image.
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

# One image is examined and the next one waits beside it, so that an actor is never idle.
_CALLS_PER_ACTOR = 2
# An image whose machines were lost as often says that the cluster is dissolving.
_ATTEMPTS = 20
_AUTO = "auto"
_PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class ShippedBundle:
    """Opens an examiner on a machine that does not have the bundle: its files come along."""

    files: tuple[tuple[str, bytes], ...]
    examination: Examination

    @classmethod
    def pack(cls, bundle: Bundle, examination: Examination) -> Self:
        """Return the bundle's files, to be sent."""
        files = sorted(path for path in bundle.path.iterdir() if path.is_file())
        return cls(tuple((path.name, path.read_bytes()) for path in files), examination)

    def __call__(self) -> Examiner:
        """Unpack the bundle, which is verified again, and open it."""
        with tempfile.TemporaryDirectory(prefix="tamperscope-") as folder:
            for name, content in self.files:
                (Path(folder) / name).write_bytes(content)
            return open_examiner(Path(folder), self.examination)


class ClusterPool:
    """Reads and examines on a Ray cluster.

    What a lost machine had in work is done again elsewhere; machines that join find work, up to `workers`.
    """

    def __init__(
        self, address: str, load: Callable[[], Examiner], largest: int, workers: int | None = None
    ) -> None:
        """Connect to the cluster at `address`, or with `auto` to the one this machine belongs to.

        `load` can be pickled; of a file, `largest` bytes and one are read. Without `workers` there are as
        many as the cluster has cores now. Raises `MissingExtraError` without Ray and `ScanError` without
        a cluster.
        """
        _connect(address)
        self._workers = workers or max(1, int(_ray().cluster_resources().get("CPU", 1)))
        self._load = load
        self._largest = largest
        self._free: asyncio.Queue[Any] = asyncio.Queue()
        self._starting: set[asyncio.Task[None]] = set()

    @property
    def capacity(self) -> int:
        """How many images may be in work at the same time: being read, waiting, being examined."""
        return self._workers * (_CALLS_PER_ACTOR + 1)

    async def __aenter__(self) -> Self:
        """Ask for the actors; work begins as soon as the first one is ready."""
        ray = _ray()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Reading takes no core worth counting; spread, or one machine's network would carry everything.
        self._fetch = ray.remote(num_cpus=0, num_returns=2, max_retries=-1, scheduling_strategy="SPREAD")(
            _fetch
        )
        actor = ray.remote(num_cpus=1, max_restarts=-1)(_Actor)
        # Kept for as long as the pool is there: an actor that starts again asks for it.
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
        """Read a file on some machine; raises `UnreadableError`."""
        where = path if is_url(path) else os.path.abspath(path)  # noqa: PTH100
        sha256, content = self._fetch.remote(where, self._largest)
        try:
            return Fetched(await sha256, content)
        except _ray().exceptions.RayError as error:
            raise _cause(error) from None

    async def examine(self, fetched: Fetched[Any]) -> Examined:
        """Return what there is to say about a content; raises `ScanError` when the cluster falls apart."""
        errors = _ray().exceptions
        for _ in range(_ATTEMPTS):
            actor = await self._next_actor()
            try:
                examined: Examined = await actor.examine.remote(fetched.content)
            except errors.RayTaskError as error:
                raise _cause(error) from None
            except errors.RayActorError:
                # Its machine or its process is gone. Ray starts it again where there is room.
                self._admit_when_ready(actor, calls=1)
            except errors.RayError:
                # The content was lost with its machine, and is being read again.
                self._free.put_nowait(actor)
            else:
                self._free.put_nowait(actor)
                return examined
        raise ScanError(f"The cluster lost an image {_ATTEMPTS} times; the same command goes on from here.")

    async def _next_actor(self) -> Any:
        """Return an actor that is ready; raises what prevented one from getting there."""
        actor = asyncio.ensure_future(self._free.get())
        await asyncio.wait({actor, self._failed}, return_when=asyncio.FIRST_COMPLETED)
        if self._failed.done():
            actor.cancel()
            self._failed.result()
        return await actor

    def _admit_when_ready(self, actor: Any, calls: int = _CALLS_PER_ACTOR) -> None:
        """Give work to an actor once it has started, which may be never: its machine may be gone."""

        async def admit() -> None:
            try:
                await actor.ready.options(max_task_retries=-1).remote()
            except (_ray().exceptions.RayTaskError, _ray().exceptions.ActorDiedError) as error:
                # Lost machines do not end an actor: it did not come to life, and none will.
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
    """An examiner on a core of the cluster."""

    def __init__(self, load: Callable[[], Examiner], code: str) -> None:
        self._load = load
        self._code = code
        self._process: ExaminerProcess | None = None

    def ready(self) -> None:
        # Here and not on construction, where Ray turns an error into the end of the actor.
        if self._code != code_digest():
            raise ScanError(
                "A machine of the cluster has another version of tamperscope or of its libraries "
                "than this one."
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
    # Nothing about the cluster is told to Ray's makers, unless somebody asked for it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        if address != _AUTO:
            _knock(address)
        _ray().init(address=address, configure_logging=False, log_to_driver=False)
    except (OSError, ValueError, RuntimeError) as error:
        if "mismatch" in str(error):
            raise ScanError(f"The cluster at {address} has another version of Ray or Python.") from None
        raise ScanError(f"There is no Ray cluster at {address}.") from None


def _knock(address: str) -> None:
    """Raise OSError or ValueError where nobody answers: Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    socket.create_connection((host, int(port)), timeout=_PATIENCE_SECONDS).close()


def _cause(error: Any) -> TamperscopeError:
    cause = getattr(error, "cause", error)
    if isinstance(cause, TamperscopeError):
        return cause
    return ScanError(
        f"The cluster cannot do the work ({type(cause).__name__}); "
        "do all of its machines have this version of tamperscope, and the extras that the scan needs?"
    )


def _ray() -> Any:
    # Imported late, as it takes a second, and only with the extra `cluster`.
    import ray

    return ray
