"""How one forgery was made, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Step:
    """One operation and its parameters."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
