"""Readers for datasets of forged and authentic images."""

from tamperscope.datasets.folder import read_folder
from tamperscope.datasets.sample import Sample

__all__ = ["Sample", "read_folder"]
