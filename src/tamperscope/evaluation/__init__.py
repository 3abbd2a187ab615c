"""Metrics, and a benchmark runner for bundles.

python -m tamperscope.evaluation --data DIR --out results/
"""
