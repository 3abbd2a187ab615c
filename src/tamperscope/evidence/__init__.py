"""Independent forensic measurements, one module each.

Each module defines `measure(image: Image) -> Evidence`. A measurement that does not apply to an image returns
evidence without a strength; its finding is the reason.

    for measure in MEASUREMENTS.values():
        evidence = measure(image)
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from tamperscope.evidence import (
    clones,
    double_jpeg,
    error_level,
    jpeg_ghosts,
    jpeg_grid,
    metadata,
    noise,
    provenance,
    quantisation,
    resampling,
    structure,
)
from tamperscope.images import Image
from tamperscope.report import Evidence

MEASUREMENTS: Mapping[str, Callable[[Image], Evidence]] = MappingProxyType(
    {
        module.NAME: module.measure
        for module in (
            provenance,
            metadata,
            structure,
            clones,
            quantisation,
            jpeg_grid,
            double_jpeg,
            jpeg_ghosts,
            noise,
            resampling,
            error_level,
        )
    }
)
"""All measurements, keyed by the name of their evidence, in the order of a report."""

__all__ = ["MEASUREMENTS"]
