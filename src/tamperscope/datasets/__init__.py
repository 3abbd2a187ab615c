"""Readers for datasets of forged and authentic images, one module each, and splits of their samples."""

from tamperscope.datasets.check import find_problems
from tamperscope.datasets.layouts import LAYOUTS, read_dataset
from tamperscope.datasets.reading import Problem, Reading
from tamperscope.datasets.sample import MaskEncoding, Sample
from tamperscope.datasets.split import split

__all__ = [
    "LAYOUTS",
    "MaskEncoding",
    "Problem",
    "Reading",
    "Sample",
    "find_problems",
    "read_dataset",
    "split",
]
