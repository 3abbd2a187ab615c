"""One sentence on the structure of a file, and how unusual it is on an authentic photo."""

from __future__ import annotations

from dataclasses import dataclass

from tamperscope.report import NOTABLE

HIDDEN, INCOHERENT, RESAVED, PLAIN = NOTABLE, 0.3, 0.2, 0.0
"""Strengths: hidden data, a contradiction, a sign that a program saved the file again, and anything else."""


@dataclass(frozen=True)
class Finding:
    """What one part of the structure tells."""

    sentence: str
    strength: float = PLAIN
