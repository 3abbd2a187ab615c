"""Metrics of a detector, and the benchmark that `tamperscope evaluate` runs.

sample -> `measurement` -> `summary` -> `results`, `plots` and `sheet`. `benchmark` measures many samples in
parallel.
"""
