"""A report as PDF, for A4."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from io import BytesIO
from typing import Any, Literal

from reportlab import rl_config
from reportlab.lib.colors import HexColor, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    Image,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from tamperscope.documents import fonts
from tamperscope.documents.document import Fact, Figure, ReportDocument, Section
from tamperscope.documents.fonts import REGULAR, STRONG, markup
from tamperscope.documents.paragraphs import paragraph
from tamperscope.documents.pictures import EncodedPicture
from tamperscope.languages import current, direction, number, say, speaking
from tamperscope.report import Verdict, printed_score

# Encoding binary data as text, in pure Python, took longer than everything else.
rl_config.useA85 = 0

_MARGIN = 18 * mm
_WIDTH = A4[0] - 2 * _MARGIN
_GAP = 5 * mm
_SPACE = "\N{NO-BREAK SPACE}"
_TALLEST, _TALLEST_MAP, _TALLEST_QUIET_MAP = 118 * mm, 62 * mm, 44 * mm
"""Height limits of a figure of the picture, of a notable measurement's map, and of any other map. Two notable
measurements fit a page with their tables.
"""

_SOFT_NAME, _NOTABLE_NAME = "#566072", "#3a4658"
_INK, _SOFT, _LINE = HexColor("#1c2430"), HexColor(_SOFT_NAME), HexColor("#dde2e9")
_BAR = HexColor("#7d899b")
_LOW, _MIDDLE, _HIGH = HexColor("#8fc7ad"), HexColor("#d5dae1"), HexColor("#e59a9f")
_ACCENTS = {
    Verdict.MANIPULATED: (HexColor("#a61b29"), HexColor("#fdf1f1")),
    Verdict.INCONCLUSIVE: (HexColor("#85570a"), HexColor("#fdf6e7")),
    Verdict.AUTHENTIC: (HexColor("#1a6447"), HexColor("#edf7f2")),
}

_BODY = ParagraphStyle("body", fontName=REGULAR, fontSize=9.5, leading=13.5, textColor=_INK)
_FINDING = ParagraphStyle("finding", _BODY, fontName=STRONG, spaceAfter=2 * mm)
_LEAD = ParagraphStyle("lead", _BODY, fontSize=11, leading=15.5, spaceAfter=1 * mm)
_SMALL = ParagraphStyle("small", _BODY, fontSize=8.5, leading=11.5)
_NOTE = ParagraphStyle("note", _SMALL, textColor=_SOFT)
_NUMBER = ParagraphStyle("number", _SMALL, alignment=2)
_HEAD_NUMBER = ParagraphStyle("head number", _NOTE, alignment=2)
_FOOT = ParagraphStyle("foot", _NOTE, fontSize=7.5, leading=9)
_FOOT_NUMBER = ParagraphStyle("foot number", _FOOT, alignment=2)
_POINT = ParagraphStyle("point", _BODY, leftIndent=4 * mm, bulletIndent=0.5 * mm, spaceAfter=1 * mm)
_MESSAGE = ParagraphStyle("message", _NOTE, leftIndent=8 * mm, spaceAfter=2 * mm)
_TITLE = ParagraphStyle("title", _BODY, fontName=STRONG, fontSize=24, leading=29)
_HEAD_TITLE = ParagraphStyle("head title", _BODY, fontName=STRONG, fontSize=13, leading=17)
_SECTION = ParagraphStyle(
    "section", _BODY, fontName=STRONG, fontSize=13, leading=17, spaceBefore=7 * mm, spaceAfter=2 * mm
)
_ITEM = ParagraphStyle("item", _BODY, fontName=STRONG, fontSize=11, leading=15, spaceAfter=1 * mm)

_BARE: list[Any] = [("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 0)]
_TIGHT: list[Any] = [*_BARE, ("TOPPADDING", (0, 0), (-1, -1), 0), ("BOTTOMPADDING", (0, 0), (-1, -1), 0)]
_TOP = ("VALIGN", (0, 0), (-1, -1), "TOP")


def render_pdf(document: ReportDocument) -> bytes:
    """Return the PDF of a document; equal documents give equal bytes."""
    with speaking(document.language):
        return _rendered(document)


def _rendered(document: ReportDocument) -> bytes:
    fonts.register()
    file = BytesIO()
    frame = Frame(_MARGIN, _MARGIN, _WIDTH, A4[1] - 2 * _MARGIN, 0, 0, 0, 0)
    template = _Template(
        file,
        pagesize=A4,
        title=f"{document.title or say('Image analysis')}: {document.headline}",
        subject=say("Image with SHA-256 {sha256}", sha256=document.sha256),
        author="tamperscope",
        creator="tamperscope",
        producer="tamperscope",
        lang=document.language,
        # Without a fixed date and identifier, equal reports would produce different files.
        invariant=1,
    )
    template.addPageTemplates(PageTemplate(frames=[frame]))
    template.build(list(_story(document)), canvasmaker=partial(_NumberedCanvas, document))
    return file.getvalue()


class _Template(BaseDocTemplate):
    """Adds the sections to the PDF's outline."""

    def afterFlowable(self, flowable: Flowable) -> None:  # noqa: N802
        heading = getattr(flowable, "heading", None)
        if heading is not None:
            self.canv.bookmarkPage(heading)
            self.canv.addOutlineEntry(heading, heading)


class _NumberedCanvas(Canvas):
    """Writes the footer of each page once the number of pages is known."""

    def __init__(self, document: ReportDocument, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._document = document
        self._pages: list[dict[str, Any]] = []
        self.setDateFormatter(lambda *_: document.made_at.strftime("D:%Y%m%d%H%M%S+00'00'"))

    def showPage(self) -> None:  # noqa: N802
        self._pages.append(dict(self.__dict__))
        self._startPage()  # type: ignore[attr-defined]

    def save(self) -> None:
        for position, page in enumerate(self._pages, 1):
            self.__dict__.update(page)
            self._foot(position)
            super().showPage()
        super().save()

    def _foot(self, position: int) -> None:
        self.setFont(REGULAR, 7.5)
        self.setFillColor(_SOFT)
        foot = [
            paragraph(markup(say("Image with SHA-256 {sha256}", sha256=self._document.sha256)), _FOOT),
            paragraph(f"{position} / {len(self._pages)}", _FOOT_NUMBER),
        ]
        table = _grid([foot], [_WIDTH - 20 * mm, 20 * mm], style=_TIGHT)
        table.wrapOn(self, _WIDTH, 10 * mm)
        table.drawOn(self, _MARGIN, 8.5 * mm)


def _story(document: ReportDocument) -> Iterator[Flowable]:
    yield _head(document)
    if document.case:
        yield _facts(document.case)
        yield Spacer(0, 4 * mm)
    yield _verdict(document)
    if document.origin:
        yield from _heading(say("Origin of the file"))
        yield paragraph(markup(document.origin.headline), _FINDING)
        if document.origin.rule:
            yield paragraph(markup(document.origin.rule), _BODY)
            yield Spacer(0, 1.5 * mm)
        yield _facts(document.origin.claims)
    yield from _heading(say("What to do next"))
    yield from _steps(document)
    if document.notes:
        yield from _heading(say("Notes"))
        yield from (paragraph(markup(line), _BODY) for line in document.notes)
    if document.doubts:
        yield from _heading(say("Before you rely on this"))
        yield from _points(document.doubts)
    yield Spacer(0, 6 * mm)
    yield _figures(document)
    if document.regions or document.left_out:
        yield from _heading(say("Marked regions"))
    if document.regions:
        yield _regions(document)
    if document.left_out:
        yield Spacer(0, 1.5 * mm)
        yield paragraph(markup(document.left_out), _NOTE)
    yield KeepTogether(
        [
            _title(say("How sure is this?")),
            paragraph(markup(f"{document.meaning} {document.error_rates}".strip()), _BODY),
            Spacer(0, 3 * mm),
            _ScoreScale(document, _WIDTH),
        ]
    )
    if document.kinds:
        yield KeepTogether([_title(say("How it was manipulated, if it was")), *_kinds(document)])
    if document.reasons:
        yield from _heading(say("What moved the score"))
        yield from _points(document.reasons)
    if document.evidence:
        before = [_title(say("Evidence")), paragraph(markup(document.strengths), _NOTE)]
        for section in document.evidence:
            yield KeepTogether([*before, *_section(section, document.colour_scale)])
            before = []
            if section.facts:
                yield Spacer(0, 2.5 * mm)
                yield _facts(section.facts)
    if document.inapplicable:
        yield from _heading(say("Could not be measured"))
        yield _facts(document.inapplicable)
    yield from _heading(say("Analysed file and software"))
    yield _facts(document.facts)
    yield from _heading(say("Limits"))
    yield from _points(document.limits)


def _head(document: ReportDocument) -> Flowable:
    kind = paragraph(f'<font name="{STRONG}">{markup(say("Image analysis"), STRONG)}</font>', _SMALL)
    made_at = paragraph(_time(document), ParagraphStyle("made at", _NOTE, alignment=2))
    rows: list[list[Flowable | str]] = [[kind, made_at]]
    style: list[Any] = [*_BARE, _TOP, ("BOTTOMPADDING", (0, -1), (-1, -1), 8)]
    if document.title:
        rows.append([paragraph(markup(document.title, STRONG), _HEAD_TITLE), ""])
        style.append(("SPAN", (0, 1), (1, 1)))
    return _grid(rows, [_WIDTH - 45 * mm, 45 * mm], style=style)


def _time(document: ReportDocument) -> str:
    return document.made_at.strftime("%Y-%m-%d %H:%M:%S UTC")


def _verdict(document: ReportDocument) -> Flowable:
    accent, tint = _ACCENTS[document.verdict]
    title = ParagraphStyle("headline", _TITLE, textColor=accent)
    cells: list[Flowable] = [
        paragraph(markup(document.headline, STRONG), title),
        Spacer(0, 1.5 * mm),
        paragraph(markup(document.finding), _LEAD),
    ]
    style: list[Any] = [
        ("BACKGROUND", (0, 0), (-1, -1), tint),
        ("LINEBEFORE", (0, 0), (0, -1), 4, accent),
        ("LEFTPADDING", (0, 0), (-1, -1), 6 * mm),
        ("RIGHTPADDING", (0, 0), (-1, -1), 6 * mm),
        ("TOPPADDING", (0, 0), (-1, -1), 4 * mm),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3 * mm),
    ]
    return _grid([[cells]], [_WIDTH], style=style)


def _steps(document: ReportDocument) -> Iterator[Flowable]:
    for position, step in enumerate(document.steps, 1):
        links = " " + say(", ").join(link.name for link in step.links) + "." if step.links else ""
        yield paragraph(markup(step.text + links), _POINT, f"{position}.")
        if step.message:
            yield paragraph(markup(step.message), _MESSAGE)


class _ScoreScale(Flowable):
    """The score on a scale from 0 to 1, with the limits between the verdicts."""

    def __init__(self, document: ReportDocument, width: float) -> None:
        super().__init__()
        self.width, self.height = width, 14 * mm
        self._score = document.score
        self._points = document.operating_points

    def draw(self) -> None:
        canvas, bottom, thick = self.canv, 5 * mm, 3 * mm
        limits = [self._points.authentic_below, self._points.manipulated_above] if self._points else []
        ends = [0.0, *limits, 1.0] if limits else [0.0, 1.0]
        colours = [_LOW, _MIDDLE, _HIGH] if limits else [_MIDDLE]
        for start, end, colour in zip(ends, ends[1:], colours, strict=False):
            canvas.setFillColor(colour)
            canvas.rect(start * self.width, bottom, (end - start) * self.width, thick, stroke=0, fill=1)
        canvas.setFillColor(_SOFT)
        canvas.setStrokeColor(_SOFT)
        canvas.setFont(REGULAR, 8)
        canvas.drawString(0, 1 * mm, "0")
        canvas.drawRightString(self.width, 1 * mm, "1")
        for limit in dict.fromkeys(limits):
            canvas.line(limit * self.width, bottom - 1 * mm, limit * self.width, bottom + thick + 1 * mm)
            canvas.drawCentredString(limit * self.width, 1 * mm, number(f"{limit:.2f}"))
        at = self._score * self.width
        canvas.setFillColor(_INK)
        canvas.setStrokeColor(white)
        tip = canvas.beginPath()
        tip.moveTo(at, bottom)
        tip.lineTo(at - 2 * mm, bottom + 4.2 * mm)
        tip.lineTo(at + 2 * mm, bottom + 4.2 * mm)
        tip.close()
        canvas.drawPath(tip, stroke=1, fill=1)
        canvas.setFont(STRONG, 10)
        canvas.drawCentredString(
            min(max(at, 4 * mm), self.width - 4 * mm), bottom + 5.4 * mm, number(printed_score(self._score))
        )


def _figures(document: ReportDocument) -> Flowable:
    """Show the marked regions large next to the other figures; show tall pictures side by side."""
    shown, scale = document.figures, document.colour_scale
    tall = shown[0].picture.height > shown[0].picture.width
    if len(shown) == 3 and not tall:
        picture, marked, heat = shown
        right = (_WIDTH - _GAP) / 3
        left = _WIDTH - _GAP - right
        columns = [
            _figure(marked, left, scale),
            "",
            [*_figure(picture, right, scale), Spacer(0, 3 * mm), *_figure(heat, right, scale)],
        ]
        return _grid([columns], [left, _GAP, right], style=[*_TIGHT, _TOP])
    width = (_WIDTH - (len(shown) - 1) * _GAP) / max(2, len(shown))
    cells: list[Any] = []
    widths: list[float] = []
    for figure in shown:
        cells += [_figure(figure, width, scale), ""]
        widths += [width, _GAP]
    return _grid([cells[:-1]], widths[:-1], style=[*_TIGHT, _TOP])


def _figure(
    figure: Figure, width: float, colour_scale: EncodedPicture, tallest: float = _TALLEST
) -> list[Flowable]:
    image = _image(figure.picture, width, tallest)
    parts: list[Flowable] = [image]
    width = max(image.drawWidth, 30 * mm)
    if figure.coloured:
        bar = width - 8 * mm
        ends = [
            Paragraph("0", _NOTE),
            Image(BytesIO(colour_scale.data), bar - 2 * mm, 1.6 * mm),
            Paragraph("1", _HEAD_NUMBER),
        ]
        parts.append(
            # Colours go from left to right in every language.
            Table(
                [ends],
                [4 * mm, bar, 4 * mm],
                hAlign=_start(),
                style=[*_BARE, ("VALIGN", (0, 0), (-1, -1), "MIDDLE")],
            )
        )
    if figure.caption:
        parts.append(Spacer(0, 1 * mm))
        parts.append(
            paragraph(
                f'<font name="{STRONG}">{markup(f"{figure.title}.", STRONG)}</font> {markup(figure.caption)}',
                _NOTE,
            )
        )
    return parts


def _image(picture: EncodedPicture, width: float, tallest: float) -> Image:
    height = width * picture.height / picture.width
    if height > tallest:
        width, height = width * tallest / height, tallest
    return Image(BytesIO(picture.data), width, height, hAlign=_start())


def _regions(document: ReportDocument) -> Flowable:
    pairs = any(region.source for region in document.regions)
    heads = (
        say("No."),
        say("Where"),
        say("Pixels"),
        say("Share of picture"),
        say("Mean probability"),
        say("Repeats") if pairs else "",
    )
    rows = [_region_cells(heads, _NOTE, _HEAD_NUMBER)]
    style: list[Any] = [("LEFTPADDING", (5, 0), (5, -1), 4 * mm)]
    for region in document.regions:
        texts = (region.label, region.place, region.extent, region.share, region.probability, region.source)
        rows.append(_region_cells(texts, _SMALL, _NUMBER))
        for told in filter(None, (region.finding, region.note and f"{say('Note')}: {region.note}")):
            row = len(rows)
            style += [
                ("SPAN", (1, row), (-1, row)),
                ("LINEBELOW", (0, row - 1), (-1, row - 1), 0.5, white),
            ]
            rows.append(["", paragraph(markup(told), _NOTE), "", "", "", ""])
    widths = [10 * mm, 21 * mm, 36 * mm, 25 * mm, 27 * mm]
    return _table(rows, [*widths, _WIDTH - sum(widths)], style, repeated=1)


def _region_cells(
    texts: Sequence[str], words: ParagraphStyle, numbers: ParagraphStyle
) -> list[Flowable | str]:
    return [
        paragraph(markup(text), numbers if column in (3, 4) else words) for column, text in enumerate(texts)
    ]


def _kinds(document: ReportDocument) -> Iterator[Flowable]:
    rows = [
        [
            paragraph(markup(kind.name), _SMALL),
            _Bar(kind.share, 45 * mm),
            paragraph(number(printed_score(kind.share)), _NUMBER),
            paragraph(markup(kind.meaning), _NOTE),
        ]
        for kind in document.kinds
    ]
    widths = [25 * mm, 45 * mm, 14 * mm]
    yield _table(rows, [*widths, _WIDTH - sum(widths)], [("LEFTPADDING", (3, 0), (3, -1), 5 * mm)])
    yield Spacer(0, 1.5 * mm)
    yield paragraph(markup(document.kinds_caveat), _NOTE)


class _Bar(Flowable):
    def __init__(self, share: float, width: float) -> None:
        super().__init__()
        self.width, self.height, self._share = width, 2.4 * mm, share

    def draw(self) -> None:
        self.canv.setFillColor(_BAR)
        width = max(0.6, self._share * self.width)
        left = 0 if _start() == "LEFT" else self.width - width
        self.canv.rect(left, 0, width, self.height, stroke=0, fill=1)


def _section(section: Section, colour_scale: EncodedPicture) -> Iterator[Flowable]:
    look = f'color="white" backColor="{_NOTABLE_NAME}"' if section.notable else f'color="{_SOFT_NAME}"'
    rating = markup(f"{_SPACE}{section.strength}{_SPACE}".replace(" ", _SPACE))
    strength = f' <font name="{REGULAR}" size="8.5" {look}>{rating}</font>'
    explanation = [
        [paragraph(markup(label), _NOTE), paragraph(markup(text), _SMALL)]
        for label, text in (
            (say("What you see"), section.what_you_see),
            (say("What it can mean"), section.what_it_can_mean),
            (say("What it cannot tell"), section.what_it_cannot),
        )
    ]
    yield Spacer(0, 4 * mm)
    yield _Rule()
    yield Spacer(0, 3 * mm)
    yield paragraph(f"{markup(section.title + _SPACE, STRONG)}{strength}", _ITEM)
    yield paragraph(markup(section.finding, STRONG), _FINDING)
    if section.figures:
        left = 62 * mm
        tallest = _TALLEST_MAP if section.notable else _TALLEST_QUIET_MAP
        pictures = [
            part
            for figure in section.figures
            for part in (*_figure(figure, left, colour_scale, tallest), Spacer(0, 2 * mm))
        ]
        stacked = [part for pair in explanation for part in (*pair, Spacer(0, 1.2 * mm))]
        cells = [pictures, "", stacked]
        yield _grid([cells], [left, _GAP, _WIDTH - left - _GAP], style=[*_TIGHT, _TOP])
    else:
        width = (_WIDTH - 2 * _GAP) / 3
        first, second, third = explanation
        cells = [first, "", second, "", third]
        yield _grid([cells], [width, _GAP, width, _GAP, width], style=[*_TIGHT, _TOP])


class _Rule(Flowable):
    def __init__(self) -> None:
        super().__init__()
        self.width, self.height = _WIDTH, 0.5

    def draw(self) -> None:
        self.canv.setStrokeColor(_LINE)
        self.canv.line(0, 0, _WIDTH, 0)


def _facts(facts: Sequence[Fact]) -> Flowable:
    rows: list[list[Flowable]] = [
        [paragraph(markup(fact.label), _NOTE), paragraph(markup(fact.value), _SMALL)] for fact in facts
    ]
    return _table(rows, [42 * mm, _WIDTH - 42 * mm])


def _table(
    rows: Sequence[list[Any]],
    widths: list[float],
    style: Sequence[tuple[Any, ...]] = (),
    repeated: int = 0,
) -> Flowable:
    lines = ("LINEBELOW", (0, 0), (-1, -1), 0.5, _LINE)
    vertical = [("TOPPADDING", (0, 0), (-1, -1), 2.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5), _TOP]
    return _grid(rows, widths, repeated, [*_BARE, *vertical, lines, *style])


def _points(texts: Sequence[str]) -> Iterator[Flowable]:
    for text in texts:
        yield paragraph(markup(text), _POINT, "•")


def _grid(
    rows: Sequence[list[Any]],
    widths: Sequence[float],
    repeated: int = 0,
    style: Sequence[tuple[Any, ...]] = (),
) -> Table:
    """Return a table whose first column is at the side where lines begin."""
    if _start() == "LEFT":
        return Table(rows, widths, repeatRows=repeated, style=TableStyle(style), hAlign="LEFT")
    mirrored = [list(reversed(row)) for row in rows]
    for name, (left, top), (right, _), *_ in style:
        if name == "SPAN":
            # A span shows what its leftmost cell holds.
            columns = len(widths)
            first, last = left % columns, right % columns
            mirrored[top][columns - 1 - last] = rows[top][first]
    return Table(
        mirrored,
        list(reversed(widths)),
        repeatRows=repeated,
        style=TableStyle([("ALIGN", (0, 0), (-1, -1), "RIGHT"), *map(_mirrored, style)]),
        hAlign="RIGHT",
    )


def _start() -> Literal["LEFT", "RIGHT"]:
    """Return the side at which lines begin in the current language."""
    return "LEFT" if direction(current()) == "ltr" else "RIGHT"


_OTHER_SIDE = {
    "LEFTPADDING": "RIGHTPADDING",
    "RIGHTPADDING": "LEFTPADDING",
    "LINEBEFORE": "LINEAFTER",
    "LINEAFTER": "LINEBEFORE",
}


def _mirrored(style: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a line of a table's style for the table with its columns in the opposite order."""
    name, (left, top), (right, bottom), *rest = style
    return (_OTHER_SIDE.get(name, name), (-1 - right, top), (-1 - left, bottom), *rest)


def _heading(text: str) -> Iterator[Flowable]:
    yield CondPageBreak(40 * mm)
    yield _title(text)


def _title(text: str) -> Flowable:
    """Return the title of a section, which the PDF's outline lists."""
    title = paragraph(markup(text, STRONG), _SECTION)
    title.heading = text  # type: ignore[attr-defined]
    return title
