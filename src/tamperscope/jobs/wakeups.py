"""Wake-up messages, one for each waiting image, so that idle workers can sleep.

A message states only that an image is waiting; the database decides which one. Messages stay within this
process, or go through Redis to any number of processes on any number of machines. A lost message delays an
image until the next count. A surplus message costs one database query.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from huey import MemoryHuey, RedisHuey
from huey.consumer import Consumer
from huey.registry import Message
from huey.serializer import Serializer

from tamperscope.errors import MissingExtraError, SettingsError

_QUEUE = "tamperscope"
_REDIS_SECONDS = 10
# Longest sleep of a worker on this process's own queue. Redis wakes its workers itself; they sleep only when
# it does not answer.
_LONGEST_SLEEP, _LONGEST_SLEEP_REDIS = 0.5, 10.0

_log = logging.getLogger(__name__)


class Wakeups:
    """The messages of one process, or of all processes that use the same Redis database.

    `redis` is its address, such as redis://host:6379/0. Raises `SettingsError` when the address is invalid,
    and `MissingExtraError` when the driver is not installed.
    """

    def __init__(self, redis: str | None) -> None:
        options: dict[str, Any] = {"results": False, "serializer": _Json()}
        self._redis = connection_pool(redis, seconds=_REDIS_SECONDS) if redis else None
        self._huey = (
            RedisHuey(_QUEUE, connection_pool=self._redis, **options)
            if self._redis
            else MemoryHuey(_QUEUE, **options)
        )
        self._work: Callable[[], object] = lambda: None
        self._message = self._huey.task(name="take_image")(self._taken)
        self._consumer: _Consumer | None = None

    def top_up(self, wanted: int) -> None:
        """Send messages until `wanted` are pending; one that cannot be sent now is sent later."""
        try:
            for _ in range(wanted - self._huey.pending_count()):
                self._message()
        except Exception as error:
            # Redis is unavailable. The jobs wait in the database, and the next count follows within seconds.
            _log.warning("jobs: workers cannot be woken: %s", error)

    def start(self, work: Callable[[], object], threads: int) -> None:
        """Call `work` for each message from now on, in `threads` threads."""
        self._work = work
        self._consumer = _Consumer(
            self._huey,
            workers=threads,
            periodic=False,
            scheduler_interval=60,
            max_delay=_LONGEST_SLEEP_REDIS if self._redis else _LONGEST_SLEEP,
        )
        self._consumer.start()

    def stop(self, seconds: float) -> None:
        """Take no more messages; return when those taken are processed, or after `seconds`."""
        if self._consumer:
            self._consumer.shutdown_timeout = seconds
            self._consumer.stop(graceful=True)
        if self._redis:
            self._redis.disconnect()

    def _taken(self) -> None:
        self._work()


class _Consumer(Consumer):
    def _set_signal_handlers(self) -> None:
        """Install no signal handlers: the process has its own, and this may not be its main thread."""


class _Json(Serializer):
    """Messages as JSON. With pickle, anyone with access to Redis could run code in every worker."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(data).encode()

    def _deserialize(self, data: bytes) -> Any:
        return Message(*json.loads(data))


def connection_pool(url: str, *, seconds: float) -> Any:
    """Return connections to the Redis at `url`, which wait at most `seconds` for an answer.

    Raises `SettingsError` when the address is invalid, and `MissingExtraError` when the driver is not
    installed.
    """
    try:
        from redis import ConnectionPool
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ModuleNotFoundError:
        raise MissingExtraError(
            "Redis needs a driver; install it with: pip install 'tamperscope[redis]'."
        ) from None
    try:
        return ConnectionPool.from_url(
            url,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            health_check_interval=30,
            # One retry, because a connection may have been closed since its last use. More would not help.
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError:
        # The address may contain a password, so it is not repeated.
        raise SettingsError("The Redis address is invalid; it must look like redis://host:6379/0.") from None
