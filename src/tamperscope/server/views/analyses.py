"""`/v1/analyses`: the full report on an image, stored with its pictures.

With API keys, an analysis belongs to the key that requested it; for all other keys it does not exist.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest, NotFound

from tamperscope.api import AnalysisAnswer, HistoryAnswer, SummaryAnswer
from tamperscope.documents import (
    Maps,
    ReportDocument,
    facts_of,
    findings,
    render_html,
    render_pdf,
    wording,
)
from tamperscope.documents.findings import NamedRegion
from tamperscope.documents.signatures import SigningKey
from tamperscope.documents.translation import in_current_language, origin_in_current_language
from tamperscope.evidence import metadata
from tamperscope.images import rendering
from tamperscope.languages import translated
from tamperscope.report import ManipulationType, ReportRecord, Verdict
from tamperscope.server.archive import EVIDENCE, HEATMAP, MASK, AnalysisArchive
from tamperscope.server.detector_service import DetectorService
from tamperscope.server.forms import (
    AFTER,
    ANALYSIS_ID,
    FLAG,
    LIMIT,
    AnalysisForm,
    client_disconnected,
    flag,
    or_404,
    page_size,
    respond,
    uploaded_image,
)
from tamperscope.server.middleware.access import owner
from tamperscope.server.openapi import Parameter, operation
from tamperscope.store import IMAGE, THUMBNAIL, Filter, StoredAnalysis, StoredPicture, Summary

_PATH = "/v1/analyses"

_ID = ANALYSIS_ID
_NAME = Parameter("name", "Name of the measurement, such as `clones`.", {"type": "string"}, place="path")
_KEEP = Parameter("keep", "The same as the form's `keep`.", FLAG)
_PRIVATE = Parameter("private", "The same as the form's `private`.", FLAG)
_SEARCH = Parameter(
    "search",
    "Words that must all be in what people added to the analysis, or begin the image's SHA-256.",
    {"type": "string"},
)
_VERDICT = Parameter("verdict", "List only this verdict.", {"type": "string", "enum": list(Verdict)})
_TAG = Parameter("tag", "List only analyses with this tag.", {"type": "string"})
_LOCATION = Parameter("location", "`true` also answers where the file states that it was taken.", FLAG)
_RAW = Parameter(
    "raw", "`true` for 8-bit grey (values from 0 to 255 stand for 0 to 1) instead of colours.", FLAG
)
_PNG = {"image/png": None}
_STORED = (404, 503)
# For answers that need the image decoded.
_RENDERED = (404, 413, 422, 503)
# The report contains its own styles and pictures. Nothing in it can run scripts or make requests.
_REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
)

_Rendered = TypeVar("_Rendered")


def blueprint(
    service: DetectorService, archive: AnalysisArchive, signing_key: SigningKey | None = None
) -> Blueprint:
    """Return the endpoints that analyse with `service` and store analyses in `archive`.

    `signing_key` signs the reports; with None they are not signed.
    """
    views = Blueprint("analyses", __name__)
    store = archive.store

    @views.post(_PATH)
    @operation(
        AnalysisAnswer,
        statuses=(200, 201),
        problems=(400, 413, 415, 422, 503, 507),
        form=AnalysisForm,
        parameters=(_KEEP, _PRIVATE, _LOCATION),
    )
    def create_analysis() -> Response:
        """Analyse an image and store the result (201), or return the stored analysis of that image (200)."""
        data = uploaded_image(request)
        keep = flag("keep", request.form.get("keep"), request.args.get("keep"))
        private = flag("private", request.form.get("private"), request.args.get("private"))
        if keep and private:
            raise BadRequest("A private analysis keeps no image: leave out `keep` or `private`.")
        analysis, new = archive.analyze(
            data,
            owner=owner(),
            keep=keep,
            private=private,
            client_disconnected=client_disconnected(request),
        )
        answer = _answer(analysis, location(data) if located() else None)
        response = respond(answer, 201 if new else 200)
        response.headers["Location"] = _address(analysis.id)
        return response

    @views.get(_PATH)
    @operation(HistoryAnswer, problems=(400, 503), parameters=(LIMIT, AFTER, _SEARCH, _VERDICT, _TAG))
    def list_analyses() -> Response:
        """Return the stored analyses, newest first. Private ones are left out."""
        limit = page_size(request.args.get("limit"))
        asked = {name: request.args[name] for name in ("search", "verdict", "tag") if name in request.args}
        found = store.list(
            owner=owner(), limit=limit + 1, after=request.args.get("after"), filter=_filter(asked)
        )
        listed = found[:limit]
        more = None
        if len(found) > limit:
            more = f"{_PATH}?{urlencode({**asked, 'limit': limit, 'after': listed[-1].id})}"
        return respond(HistoryAnswer(analyses=tuple(map(summary_line, listed)), next=more))

    @views.get(f"{_PATH}/<id>")
    @operation(AnalysisAnswer, problems=(400, *_RENDERED), parameters=(_ID, _LOCATION))
    def get_analysis(id: str) -> Response:
        """Return a stored analysis."""
        found = stored(id)
        asked = located() and found.kept
        return respond(_answer(found, location(kept_image(id)) if asked else None))

    @views.delete(f"{_PATH}/<id>")
    @operation({}, statuses=(204,), problems=_STORED, parameters=(_ID,))
    def delete_analysis(id: str) -> Response:
        """Delete an analysis and everything that was stored with it."""
        or_404(store.delete(id, owner=owner()) or None, "analysis")
        return Response(status=204)

    @views.get(f"{_PATH}/<id>/report.json")
    @operation(AnalysisAnswer, problems=_STORED, parameters=(_ID,))
    def analysis_report_json(id: str) -> Response:
        """Return a stored analysis as a file to save."""
        found = stored(id)
        return report_file(
            _answer(found).model_dump_json().encode(),
            found.report,
            "application/json",
            f'attachment; filename="tamperscope-{id}.json"',
        )

    @views.get(f"{_PATH}/<id>/report.html")
    @operation({"text/html": None}, problems=_RENDERED, parameters=(_ID,))
    def analysis_report_html(id: str) -> Response:
        """Return a stored analysis as an HTML page to read and share, with the image if it was kept."""
        html, report = rendered(id, render_html)
        response = report_file(
            html.encode(), report, "text/html; charset=utf-8", f'inline; filename="tamperscope-{id}.html"'
        )
        response.headers["Content-Security-Policy"] = _REPORT_POLICY
        return response

    @views.get(f"{_PATH}/<id>/report.pdf")
    @operation({"application/pdf": None}, problems=_RENDERED, parameters=(_ID,))
    def analysis_report_pdf(id: str) -> Response:
        """Return a stored analysis as an A4 PDF, with the image if it was kept."""
        pdf, report = rendered(id, render_pdf)
        return report_file(pdf, report, "application/pdf", f'attachment; filename="tamperscope-{id}.pdf"')

    @views.get(f"{_PATH}/<id>/mask.png")
    @operation(_PNG, problems=_STORED, parameters=(_ID,))
    def analysis_mask(id: str) -> Response:
        """Return the mask at the size of the upright image: 255 where manipulated, 0 elsewhere."""
        return _png(picture(id, MASK).data)

    @views.get(f"{_PATH}/<id>/heatmap.png")
    @operation(_PNG, problems=(400, *_STORED), parameters=(_ID, _RAW))
    def analysis_heatmap(id: str) -> Response:
        """Return the manipulation probability per pixel, scaled down to at most 1024 pixels per side."""
        return _map(picture(id, HEATMAP))

    @views.get(f"{_PATH}/<id>/evidence/<name>.png")
    @operation(_PNG, problems=(400, *_STORED), parameters=(_ID, _NAME, _RAW))
    def analysis_evidence(id: str, name: str) -> Response:
        """Return the map of a measurement, scaled down to at most 1024 pixels per side."""
        return _map(
            picture(id, EVIDENCE + name, "There is no map of that name; `evidence` lists those that exist.")
        )

    @views.get(f"{_PATH}/<id>/overlay.png")
    @operation(_PNG, problems=_RENDERED, parameters=(_ID,))
    def analysis_overlay(id: str) -> Response:
        """Return the image with the mask highlighted in green, if the image was kept."""
        mask = picture(id, MASK).data
        with service.decoded(kept_image(id), client_disconnected(request)) as image:
            marked = rendering.decode_grey_png(mask) > 0
            return _png(rendering.encode_png(rendering.overlay(image.pixels, marked)))

    @views.get(f"{_PATH}/<id>/thumbnail.jpg")
    @operation({"image/jpeg": None}, problems=_STORED, parameters=(_ID,))
    def analysis_thumbnail(id: str) -> Response:
        """Return the middle square of the image, at most 160 pixels wide, if the image was kept."""
        return _picture(picture(id, THUMBNAIL))

    @views.get(f"{_PATH}/<id>/image.png")
    @operation(_PNG, problems=_RENDERED, parameters=(_ID,))
    def analysis_image(id: str) -> Response:
        """Return the upright image, if it was kept."""
        with service.decoded(kept_image(id), client_disconnected(request)) as image:
            return _png(rendering.encode_png(image.pixels))

    def located() -> bool:
        return flag("location", request.args.get("location"))

    def location(data: bytes) -> metadata.Location | None:
        with service.decoded(data, client_disconnected(request)) as image:
            return metadata.location(image)

    def stored(id: str) -> StoredAnalysis:
        return or_404(store.get(id, owner=owner()), "analysis")

    def picture(id: str, name: str, missing: str = "There is no such picture.") -> StoredPicture:
        found = store.picture(id, name, owner=owner())
        if found is None:
            stored(id)
            raise NotFound(missing)
        return found

    def report_file(data: bytes, report: ReportRecord, content_type: str, disposition: str) -> Response:
        """Answer a report as a file to save, signed if the server signs reports."""
        if signing_key:
            data = signing_key.sign(data, image_sha256=report.image.sha256, at=datetime.now(UTC))
        response = Response(data, content_type=content_type)
        response.headers["Content-Disposition"] = disposition
        digest = b64encode(hashlib.sha256(data).digest()).decode("ascii")
        response.headers["Repr-Digest"] = f"sha-256=:{digest}:"
        return response

    def rendered(id: str, render: Callable[[ReportDocument], _Rendered]) -> tuple[_Rendered, ReportRecord]:
        """Return a stored analysis as a file; drawing it holds a slot, as analysing does."""
        found = stored(id)
        files = {name: picture(id, name).data for name in found.pictures}
        kept = files.pop(IMAGE, None)
        files.pop(THUMBNAIL, None)
        with service.slot(client_disconnected(request)) as turn:
            image = service.read(kept, turn) if kept else None
            maps = Maps.from_files(
                mask=files.pop(MASK),
                heatmap=files.pop(HEATMAP),
                evidence={name.removeprefix(EVIDENCE): data for name, data in files.items()},
                picture=image.pixels if image else None,
            )
            document = ReportDocument.of_record(
                found.report,
                maps,
                made_at=found.created,
                case=found.case,
                signer=signing_key.description if signing_key else "",
            )
            return render(document), found.report

    def kept_image(id: str) -> bytes:
        return picture(
            id, IMAGE, "The image of this analysis was not kept; send it again with keep=true to see it here."
        ).data

    return views


def _filter(asked: Mapping[str, str]) -> Filter:
    verdict = asked.get("verdict")
    if verdict is not None and verdict not in list(Verdict):
        raise BadRequest(f"`verdict` must be one of {', '.join(Verdict)}.")
    return Filter(asked.get("search", ""), Verdict(verdict) if verdict else None, asked.get("tag", ""))


def _address(id: str) -> str:
    return f"{_PATH}/{id}"


def _answer(stored: StoredAnalysis, location: metadata.Location | None = None) -> AnalysisAnswer:
    address = _address(stored.id)
    report = in_current_language(stored.report)

    def link(name: str, path: str) -> str | None:
        return f"{address}/{path}" if name in stored.pictures else None

    evidence = {
        name: {
            **found.to_json(),
            "title": wording.measurement(name),
            "rating": None if found.strength is None else wording.strength(found.strength),
            "facts": [asdict(fact) for fact in facts_of(found.details)],
            "map": link(EVIDENCE + name, f"evidence/{name}.png"),
        }
        for name, found in report.evidence.items()
    }
    regions = findings.named_regions(report)
    links = {
        "self": address,
        "mask": link(MASK, "mask.png"),
        "heatmap": link(HEATMAP, "heatmap.png"),
        "overlay": link(IMAGE, "overlay.png"),
        "image": link(IMAGE, "image.png"),
        "thumbnail": link(THUMBNAIL, "thumbnail.jpg"),
        "case": f"{address}/case",
        "feedback": f"{address}/feedback",
        "report_json": f"{address}/report.json",
        "report_html": f"{address}/report.html",
        "report_pdf": f"{address}/report.pdf",
    }
    return AnalysisAnswer.model_validate(
        {
            **report.to_json(),
            "id": stored.id,
            "created": stored.created,
            "words": _words(report, regions),
            "case": stored.case.to_json(),
            "feedback": stored.correction and stored.correction.to_json(),
            "private": stored.private,
            "regions": [_region(named) for named in regions[: len(report.regions)]],
            "hints": [_region(named) for named in regions[len(report.regions) :]],
            "image": {**report.image.to_json(), "kept": stored.kept},
            "evidence": evidence,
            "reasons": [{**reason.to_json(), "text": translated(reason.text)} for reason in report.reasons],
            "location": location and asdict(location),
            "links": links,
        }
    )


def _region(named: NamedRegion) -> dict[str, Any]:
    region = named.region.to_json()
    source = region["source"]
    return {
        **region,
        "source": source and {**source, "label": named.source_label},
        "place": named.place,
        "label": named.label,
        "minor": named.minor,
        "finding": named.finding,
    }


def _words(report: ReportRecord, regions: Sequence[NamedRegion]) -> dict[str, Any]:
    points = report.operating_points
    return {
        "headline": wording.headline(report.verdict, report.origin),
        "finding": findings.finding(report, regions),
        "next_steps": [asdict(step) for step in findings.next_steps(report, regions)],
        "minor_regions": findings.minor_regions(regions[: len(report.regions)]),
        "meaning": wording.meaning(report.verdict, report.score, points, report.origin),
        "error_rates": wording.error_rates(report.error_rates),
        "types": {
            kind: dict(zip(("name", "meaning"), wording.kind(kind), strict=True)) for kind in ManipulationType
        },
        "types_caveat": wording.kinds_caveat(),
        "strengths": wording.strengths(),
        "limits": wording.limits(points),
    }


def summary_line(summary: Summary) -> SummaryAnswer:
    """Return the summary of an analysis for one line of the history."""
    origin = origin_in_current_language(summary.origin)
    return SummaryAnswer.model_validate(
        {
            "id": summary.id,
            "created": summary.created,
            "verdict": summary.verdict,
            "headline": wording.headline(summary.verdict, origin),
            "score": summary.score,
            "type": summary.type,
            "type_name": wording.kind(summary.type)[0],
            "image": {**summary.image.to_json(), "kept": summary.kept},
            "origin": {"kind": summary.origin.kind, "headline": origin.headline},
            "title": summary.case.title,
            "case_number": summary.case.number,
            "tags": summary.case.tags,
            "links": {
                "self": _address(summary.id),
                "thumbnail": f"{_address(summary.id)}/thumbnail.jpg" if summary.thumbnail else None,
            },
        }
    )


def _map(picture: StoredPicture) -> Response:
    if flag("raw", request.args.get("raw")):
        return _png(picture.data)
    return _png(rendering.encode_png(rendering.coloured(rendering.decode_grey_png(picture.data))))


def _png(data: bytes) -> Response:
    return _picture(StoredPicture("image/png", data))


def _picture(picture: StoredPicture) -> Response:
    response = Response(picture.data, content_type=picture.media_type)
    # Only this user's browser may cache it, and must ask before each use whether it is still valid.
    response.headers["Cache-Control"] = "private, no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response
