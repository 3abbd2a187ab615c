"""Independent forensic measurements, one file each.

Each module offers `measure(image: Image) -> Evidence`; a measurement that cannot say anything about an
image gives evidence without a strength, and the reason.

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
)
from tamperscope.images import Image
from tamperscope.report import Evidence

MEASUREMENTS: Mapping[str, Callable[[Image], Evidence]] = MappingProxyType(
    {
        module.NAME: module.measure
        for module in (
            provenance,
            metadata,
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
"""Every measurement by the name of its evidence, in the order of a report."""

__all__ = ["MEASUREMENTS"]
