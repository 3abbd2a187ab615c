"""Benchmark curves as PNG: precision and recall, ROC, reliability, robustness. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tamperscope.evaluation import metrics
from tamperscope.evaluation.results import Results
from tamperscope.evaluation.summary import RobustnessLevel, Summary

_POINTS = 2000


def write_plots(results: Results, folder: Path) -> None:
    """Write the plots into `folder`.

    `pr.png` is always written, `roc.png` and `reliability.png` when a set has both forged and authentic
    images, and `robustness.png` after a sweep.
    """
    summaries = results.summaries
    both = [summary for summary in summaries if len(summary.images.forged) and len(summary.images.authentic)]
    _save(_precision_recall(summaries, results.bundle.threshold), folder / "pr.png")
    if both:
        _save(_roc(both), folder / "roc.png")
        _save(_reliability(both[-1]), folder / "reliability.png")
    if results.robustness:
        _save(_robustness(results.robustness), folder / "robustness.png")


def _precision_recall(summaries: Sequence[Summary], threshold: float) -> Figure:
    figure, axes = _square("recall", "precision", "Pixels of all images, pooled")
    for summary in summaries:
        if not len(summary.images.forged):
            continue
        curve = summary.images.pixels.precision_recall
        seen = np.flatnonzero(curve.marked)
        points = seen[np.linspace(0, len(seen) - 1, _POINTS).astype(int)]
        label = f"{summary.set}: AP {curve.average_precision:.3f}"
        (line,) = axes.plot(curve.recall[points], curve.precision[points], label=label)
        shipped = np.argmin(np.abs(curve.thresholds - threshold))
        axes.plot(curve.recall[shipped], curve.precision[shipped], "o", color=line.get_color())
    axes.plot([], [], "o", color="grey", label=f"at the bundle's threshold, {threshold:g}")
    axes.legend(frameon=False)
    return figure


def _roc(summaries: Sequence[Summary]) -> Figure:
    figure, axes = _square("false positive rate", "true positive rate", "Images, by score")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--")
    for summary in summaries:
        images = summary.images
        cuts = np.append(np.unique(images.both("score"))[::-1], -np.inf)
        rates = [
            np.concatenate([[0.0], np.mean(scores[:, np.newaxis] >= cuts, axis=0)])
            for scores in (images.authentic["score"], images.forged["score"])
        ]
        label = f"{summary.set}: AUC {summary.estimates['auc'].value:.3f}"
        (line,) = axes.plot(*rates, label=label)
        axes.plot(summary.estimates["fpr"].value, summary.estimates["tpr"].value, "o", color=line.get_color())
    axes.plot([], [], "o", color="grey", label="verdict manipulated")
    axes.legend(frameon=False, loc="lower right")
    return figure


def _reliability(summary: Summary) -> Figure:
    images = summary.images
    bins = metrics.reliability(images.both("score"), images.labels)
    error = summary.estimates["calibration_error"].value
    figure, axes = _square(
        "score",
        "share of forged images",
        f"{summary.set}: expected calibration error {error:.3f} (numbers: images in the bin)",
    )
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--")
    axes.plot([group.mean_score for group in bins], [group.forged_share for group in bins], "o-")
    for group in bins:
        axes.annotate(
            str(group.images),
            (group.mean_score, group.forged_share),
            textcoords="offset points",
            xytext=(0, 8),
            ha="center",
            fontsize=8,
            color="grey",
        )
    axes.set_ylim(-0.02, 1.1)
    return figure


def _robustness(levels: Sequence[RobustnessLevel]) -> Figure:
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(levels))
    clean = levels[0]
    for values, label, colour in (
        ([level.f1 for level in levels], "F1, mean over forged images", "C0"),
        ([level.auc for level in levels], "image AUC", "C1"),
    ):
        axes.plot(places, values, "o", color=colour, label=label)
        axes.axhline(values[0], color=colour, linewidth=0.8, linestyle="--")
    axes.set_xticks(places, [level.corruption for level in levels], rotation=45, ha="right")
    axes.set_ylim(0, 1)
    axes.grid(axis="y", alpha=0.3)
    figure.suptitle(f"{clean.forged} forged and {clean.authentic} authentic images; dashed: not corrupted")
    figure.legend(frameon=False, loc="outside lower left")
    return figure


def _square(x: str, y: str, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.grid(alpha=0.3)
    figure.suptitle(title)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=120)
