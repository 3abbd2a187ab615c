"""One message for each image that waits, so that workers sleep when there is none.

Messages say nothing but that there is an image to take; which one, the database tells. They travel within
this process, or through Redis to any number of processes on any number of machines. A lost message delays an
image until the next count, one too many costs a look into the database.
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
# How long a worker of this process's own queue may sleep; Redis wakes its workers itself, and they only
# sleep when it does not answer.
_LONGEST_SLEEP, _LONGEST_SLEEP_REDIS = 0.5, 10.0

_log = logging.getLogger(__name__)


class Wakeups:
    """The messages of one process, or of all that use the same Redis database.

    `redis` is its address, such as redis://host:6379/0. Raises `SettingsError` when it is none and
    `MissingExtraError` where the driver is not installed.
    """

    def __init__(self, redis: str | None) -> None:
        options: dict[str, Any] = {"results": False, "serializer": _Json()}
        self._redis = _pool(redis) if redis else None
        self._huey = (
            RedisHuey(_QUEUE, connection_pool=self._redis, **options)
            if self._redis
            else MemoryHuey(_QUEUE, **options)
        )
        self._work: Callable[[], object] = lambda: None
        self._message = self._huey.task(name="take_image")(self._taken)
        self._consumer: _Consumer | None = None

    def top_up(self, wanted: int) -> None:
        """Send as many messages as are missing to `wanted`; one that cannot be sent now is sent later."""
        try:
            for _ in range(wanted - self._huey.pending_count()):
                self._message()
        except Exception as error:
            # Redis is not there: jobs wait in the database, and the next count comes in seconds.
            _log.warning("jobs: workers cannot be woken: %s", error)

    def start(self, work: Callable[[], object], threads: int) -> None:
        """Call `work` for each message from now on, in as many threads."""
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
        """Take no further message, and return when those taken are worked off, or after so many seconds."""
        if self._consumer:
            self._consumer.shutdown_timeout = seconds
            self._consumer.stop(graceful=True)
        if self._redis:
            self._redis.disconnect()

    def _taken(self) -> None:
        self._work()


class _Consumer(Consumer):
    def _set_signal_handlers(self) -> None:
        """Leave the process's signals alone: it has its own handlers, and may not be in its main thread."""


class _Json(Serializer):
    """Messages as JSON: by pickles, whoever reaches Redis could run code in every worker."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(data).encode()

    def _deserialize(self, data: bytes) -> Any:
        return Message(*json.loads(data))


def _pool(url: str) -> Any:
    try:
        from redis import ConnectionPool
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ModuleNotFoundError:
        raise MissingExtraError(
            "Jobs through Redis need a driver; install it with: pip install 'tamperscope[redis]'."
        ) from None
    try:
        return ConnectionPool.from_url(
            url,
            socket_timeout=_REDIS_SECONDS,
            socket_connect_timeout=_REDIS_SECONDS,
            health_check_interval=30,
            # A connection may have been closed since its last use; a server that is away stays away.
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError:
        # Its text may hold a password, so it is not repeated.
        raise SettingsError("Redis' address is none; it must be redis://host:6379/0.") from None
