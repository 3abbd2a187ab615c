"""A limit on the requests per minute and caller, for one process or for all that use the same Redis."""

from __future__ import annotations

import hashlib
import logging
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from tamperscope.jobs.wakeups import connection_pool

_MOST_CALLERS = 10_000
_REDIS_SECONDS = 1.0
_PAUSE_SECONDS = 10.0
"""How long Redis is not asked again after it did not answer."""
# Runs within Redis, so that two servers cannot both take the last token, and by its clock. A bucket that has
# not been used for a minute is full, and can be forgotten.
_TAKE = """
local capacity = tonumber(ARGV[1])
local per_second = capacity / 60
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'filled_at')
local tokens, filled_at = tonumber(bucket[1]) or capacity, tonumber(bucket[2]) or now
tokens = math.min(capacity, tokens + math.max(0, now - filled_at) * per_second)
local wait = 0
if tokens < 1 then wait = math.ceil((1 - tokens) / per_second) else tokens = tokens - 1 end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'filled_at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], 61)
return wait
"""

_log = logging.getLogger(__name__)


class Limiter(Protocol):
    """Decides whether a caller may send another request now."""

    def seconds_to_wait(self, caller: str, now: float) -> int:
        """Count a request of the caller and return 0, or return the whole seconds until it may send one.

        `now` is any clock in seconds that never runs backwards.
        """
        ...


def limiter(per_minute: int, redis: str | None) -> Limiter:
    """Return a limit that holds for all processes that use the Redis at this address, or for this one alone.

    Raises `SettingsError` when the address is invalid, and `MissingExtraError` when the driver is not
    installed.
    """
    return SharedRateLimiter(per_minute, redis) if redis else RateLimiter(per_minute)


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class RateLimiter:
    """A token bucket for each caller: bursts of up to one minute's requests, then an even rate.

    Beyond 10,000 callers, the least recently seen are forgotten, so that memory stays bounded.
    """

    def __init__(self, per_minute: int) -> None:
        self._capacity = per_minute
        self._per_second = per_minute / 60
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def seconds_to_wait(self, caller: str, now: float) -> int:
        """Take a token of the caller and return 0, or return the whole seconds until it has one."""
        with self._lock:
            bucket = self._buckets.setdefault(caller, _Bucket(self._capacity, now))
            self._buckets.move_to_end(caller)
            if len(self._buckets) > _MOST_CALLERS:
                self._buckets.popitem(last=False)
            gained = (now - bucket.filled_at) * self._per_second
            bucket.tokens = min(self._capacity, bucket.tokens + gained)
            bucket.filled_at = now
            if bucket.tokens < 1:
                return math.ceil((1 - bucket.tokens) / self._per_second)
            bucket.tokens -= 1
            return 0


class SharedRateLimiter:
    """The same token buckets, in Redis. While Redis does not answer, this process counts by itself."""

    def __init__(self, per_minute: int, redis: str) -> None:
        pool = connection_pool(redis, seconds=_REDIS_SECONDS)
        # Its driver is there if there is a pool.
        from redis import Redis

        self._take = Redis(connection_pool=pool).register_script(_TAKE)
        self._capacity = per_minute
        self._alone = RateLimiter(per_minute)
        self._asked_from = 0.0

    def seconds_to_wait(self, caller: str, now: float) -> int:
        """Take a token of the caller and return 0, or return the whole seconds until it has one."""
        if now < self._asked_from:
            return self._alone.seconds_to_wait(caller, now)
        # Redis need not know the addresses of callers.
        digest = hashlib.sha256(caller.encode()).hexdigest()
        try:
            return int(self._take(keys=[f"tamperscope:rate:{digest}"], args=[self._capacity]))
        except Exception as error:
            self._asked_from = now + _PAUSE_SECONDS
            _log.warning("rate limit: Redis cannot be used, so this server counts by itself: %s", error)
            return self._alone.seconds_to_wait(caller, now)
