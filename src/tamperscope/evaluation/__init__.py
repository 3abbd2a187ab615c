"""How good a detector is: metrics, and the benchmark that `tamperscope evaluate` runs.

sample -> `measurement` -> `summary` -> `results`, `plots` and `sheet`; `benchmark` does many in parallel.
"""
