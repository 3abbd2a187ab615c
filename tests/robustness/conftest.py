from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "short", max_examples=15, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.register_profile("long", max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("short")
