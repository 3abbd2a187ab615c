"""Paragraphs of a PDF in any language: from left to right by ReportLab, from right to left line by line."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.platypus import Flowable, Paragraph

from tamperscope.documents.scripts import has_right_to_left, mirrored, visual_order
from tamperscope.languages import current, direction

_SHAPED = re.compile("[\u0900-\u097f]")
"""Letters that HarfBuzz places. The forms of Arabic letters are characters of their own."""


def paragraph(markup: str, style: ParagraphStyle, bullet: str = "") -> Flowable:
    """Return a paragraph of ReportLab's markup, as `fonts.markup` gives it, in the current language."""
    if direction(current()) == "rtl":
        return _RightToLeft(markup, style, bullet)
    if _SHAPED.search(markup):
        style = ParagraphStyle(style.name, style, shaping=1)
    return Paragraph(markup, style, bulletText=bullet or None)


class _RightToLeft(Paragraph):
    """A paragraph that breaks its lines in the order of reading, and then orders each from left to right."""

    def __init__(self, markup: str, style: ParagraphStyle, bullet: str) -> None:
        super().__init__(markup, style)
        self._bullet = bullet
        self._lines: Paragraph | None = None
        self._logical = list(self.frags)

    def wrap(self, width: float, height: float) -> tuple[float, float]:
        """Return the size of the paragraph in a column of a width, in points."""
        style = self.style
        room = width - style.leftIndent - style.rightIndent - (_BULLET_GAP if self._bullet else 0)
        frags = list(_in_lines(self._logical, room))
        visual = ParagraphStyle(
            style.name,
            style,
            alignment=0 if style.alignment == 2 else 2,
            leftIndent=style.rightIndent,
            rightIndent=style.leftIndent + (_BULLET_GAP if self._bullet else 0),
            splitLongWords=0,
        )
        self._lines = Paragraph("", visual, frags=frags)
        # Lines are broken already; a hair of room keeps rounding from breaking them again.
        self.width, self.height = self._lines.wrap(width + 0.5, height)
        self.width = width
        return self.width, self.height

    def split(self, width: float, height: float) -> list[Flowable]:
        """Return no parts, so that it moves to the next page as a whole, unless it is very long."""
        self.wrap(width, height)
        assert self._lines is not None
        return [] if self.height <= _LONGEST_UNBROKEN else self._lines.split(width + 0.5, height)

    def draw(self) -> None:
        """Draw the lines, and the bullet to their right."""
        assert self._lines is not None
        style = self.style
        self._lines.drawOn(self.canv, 0, 0)
        if self._bullet:
            self.canv.setFont(style.bulletFontName, style.bulletFontSize)
            self.canv.setFillColor(style.textColor)
            self.canv.drawRightString(
                self.width - style.bulletIndent, self.height - style.fontSize, self._bullet
            )


_BULLET_GAP = 4
"""Points between a number and its text."""
_LONGEST_UNBROKEN = 400
"""Points."""


def _in_lines(frags: Sequence[Any], room: float) -> Iterator[Any]:
    """Yield the fragments of the lines, each from left to right, with breaks between them."""
    characters = [(character, frag) for frag in frags for character in getattr(frag, "text", "") or ""]
    # A paragraph that is all Latin, such as a name, keeps its own order.
    ordered = has_right_to_left("".join(character for character, _ in characters))
    for number, line in enumerate(_lines(characters, room)):
        if number:
            end = copy.copy(frags[0])
            end.text, end.lineBreak = "", True
            yield end
        text = "".join(character for character, _ in line)
        owners = [line[at][1] for at in visual_order(text, right_to_left=ordered)]
        written = mirrored(text, right_to_left=ordered)
        for frag, run in groupby(zip(owners, written, strict=True), lambda pair: pair[0]):
            part = copy.copy(frag)
            # A space at the edge of a fragment would be lost.
            part.text = "".join(character for _, character in run).replace(" ", "\N{NO-BREAK SPACE}")
            yield part


def _lines(characters: Sequence[tuple[str, Any]], room: float) -> Iterator[list[tuple[str, Any]]]:
    """Yield lines of whole words, as many as fit; a word longer than a line is broken."""
    line: list[tuple[str, Any]] = []
    used = 0.0
    for word in _words(characters):
        width = sum(map(_width, word))
        if line and used + width - (_width(word[-1]) if word[-1][0] == " " else 0) > room:
            yield line
            line, used = [], 0.0
        for each in word:
            if used + _width(each) > room and each[0] != " ":
                yield line
                line, used = [], 0.0
            line.append(each)
            used += _width(each)
    if line:
        yield line


def _words(characters: Sequence[tuple[str, Any]]) -> Iterator[list[tuple[str, Any]]]:
    word: list[tuple[str, Any]] = []
    for each in characters:
        word.append(each)
        if each[0] == " ":
            yield word
            word = []
    if word:
        yield word


def _width(of: tuple[str, Any]) -> float:
    character, frag = of
    width: float = pdfmetrics.stringWidth(character, frag.fontName, frag.fontSize)
    return width
