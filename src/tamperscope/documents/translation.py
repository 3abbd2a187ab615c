"""A report in the current language. Reports are made, stored and exchanged in English."""

from __future__ import annotations

from dataclasses import replace

from tamperscope.languages import ENGLISH, current, translated
from tamperscope.origin import Origin
from tamperscope.report import EvidenceRecord, Explanation, ReportRecord


def in_current_language(report: ReportRecord) -> ReportRecord:
    """Return a report whose sentences are in the current language. Details, names and numbers stay."""
    if current() == ENGLISH:
        return report
    return replace(
        report,
        notes=tuple(map(translated, report.notes)),
        image=replace(report.image, notes=tuple(map(translated, report.image.notes))),
        evidence={name: _evidence(found) for name, found in report.evidence.items()},
        origin=origin_in_current_language(report.origin),
        error_rates=report.error_rates
        and replace(report.error_rates, files=translated(report.error_rates.files)),
    )


def origin_in_current_language(origin: Origin) -> Origin:
    """Return an origin whose sentences are in the current language."""
    rule = origin.rule
    return replace(
        origin,
        headline=translated(origin.headline),
        claims=tuple(
            replace(claim, text=translated(claim.text), belief=translated(claim.belief))
            for claim in origin.claims
        ),
        rule=rule and replace(rule, text=translated(rule.text)),
    )


def _evidence(found: EvidenceRecord) -> EvidenceRecord:
    explanation = found.explanation
    return replace(
        found,
        finding=translated(found.finding),
        explanation=Explanation(
            translated(explanation.what_you_see),
            translated(explanation.what_it_can_mean),
            translated(explanation.what_it_cannot),
        ),
    )
