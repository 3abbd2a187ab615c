"""A limit on the requests per minute and caller."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass

_MOST_CALLERS = 10_000


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
        """Take one token from the caller's bucket and return 0, or return the whole seconds until it has one.

        `now` is any clock in seconds that never runs backwards.
        """
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
