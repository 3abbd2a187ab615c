"""The fonts of a PDF: most are bundled and embedded; East Asian text uses the PDF reader's own fonts.

Roboto (Apache 2.0) covers Latin, Greek and Cyrillic, Noto Sans (Open Font License) Arabic and Devanagari.
DejaVu Sans (Bitstream Vera's licence) adds Hebrew, Armenian, Georgian and symbols. An East Asian font would
be larger than the rest of the package, so those characters refer to a standard font that PDF readers provide.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Set
from importlib.resources import as_file, files
from itertools import groupby
from xml.sax.saxutils import escape

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

from tamperscope.documents.scripts import joined, mirrored
from tamperscope.languages import current, direction

REGULAR, STRONG = "Roboto-Regular", "Roboto-Medium"

_WIDER = "DejaVuSans"
_ARABIC, _DEVANAGARI = "NotoSansArabic", "NotoSansDevanagari"
_CHINESE_AND_JAPANESE, _KOREAN = "STSong-Light", "HYSMyeongJo-Medium"
_MISSING = "□"
_LETTERS = "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]+"
_RIGHT_TO_LEFT = re.compile(rf"{_LETTERS}(?:[ \u200c\u200d]+{_LETTERS})*")
_DEVANAGARI_LETTER = re.compile("[\u0900-\u097f]")
_WEIGHTS = {REGULAR: "Regular", STRONG: "Bold"}

_lock = threading.Lock()
_covered: dict[str, Set[int]] = {}


def register() -> None:
    """Register the fonts with ReportLab, once per process."""
    with _lock:
        if _covered:
            return
        for name in (_CHINESE_AND_JAPANESE, _KOREAN):
            pdfmetrics.registerFont(UnicodeCIDFont(name))
        noto = [f"{name}-{weight}" for name in (_ARABIC, _DEVANAGARI) for weight in _WEIGHTS.values()]
        for name in (REGULAR, STRONG, _WIDER, *noto):
            with as_file(files("tamperscope.documents") / "fonts" / f"{name}.ttf") as path:
                font = TTFont(name, str(path))
            pdfmetrics.registerFont(font)
            _covered[name] = font.face.charToGlyph.keys()


def markup(text: str, font: str = REGULAR) -> str:
    """Return text as ReportLab's paragraph markup: escaped, with each character in a font that has it.

    Arabic letters are joined. ReportLab writes from left to right: in a language that does too, words from
    right to left are reversed; in others `paragraphs.paragraph` orders whole lines. A character that no font
    has becomes `□`. Call `register` first.
    """
    visual = joined(text)
    if direction(current()) == "ltr":
        visual = _RIGHT_TO_LEFT.sub(lambda words: "".join(mirrored(words[0], True)), visual)
    if _DEVANAGARI_LETTER.search(visual):
        return " ".join(_devanagari(word, font) for word in visual.split(" "))
    return _runs(visual, font)


def _devanagari(word: str, font: str) -> str:
    """Return the markup of a word, which HarfBuzz shapes with one font.

    Where that font lacks a character, a space divides the word.
    """
    own = f"{_DEVANAGARI}-{_WEIGHTS[font]}"
    if not _DEVANAGARI_LETTER.search(word):
        return _runs(word, font)
    runs = groupby(word, lambda character: ord(character) in _covered[own])
    texts = [("".join(run), within) for within, run in runs]
    return " ".join(_run(text, own, font) if within else _runs(text, font) for text, within in texts)


def _runs(visual: str, font: str) -> str:
    fonts = [_font_of(character, font) for character in visual]
    written = [character if name else _MISSING for character, name in zip(visual, fonts, strict=True)]
    runs = groupby(zip(fonts, written, strict=True), lambda pair: pair[0] or _WIDER)
    return "".join(_run("".join(character for _, character in run), name, font) for name, run in runs)


def _run(text: str, font: str, usual: str) -> str:
    return escape(text) if font == usual else f'<font name="{font}">{escape(text)}</font>'


def _font_of(character: str, preferred: str) -> str | None:
    scripts = [f"{name}-{_WEIGHTS[preferred]}" for name in (_ARABIC, _DEVANAGARI)]
    for font in (preferred, *scripts, _WIDER):
        if ord(character) in _covered[font]:
            return font
    for codec, font in (("gbk", _CHINESE_AND_JAPANESE), ("cp949", _KOREAN)):
        try:
            character.encode(codec)
        except UnicodeEncodeError:
            continue
        return font
    return None
