"""The languages in which the page, reports and answers speak to people.

    with speaking("de"):
        say("{count} of {total} images", count=3, total=1200)      # "3 von 1.200 Bildern"
        translated(report.evidence["noise"].finding)               # a stored English sentence in German

English sentences with named placeholders are the keys of the catalogues, `<code>.json`. What a catalogue
lacks is said in English. Reports are stored in English: `translated` recognises a finished sentence by the
template that it was made from, so a report of any age can be read in any language.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.resources import files

ENGLISH = "en"
LANGUAGES: Mapping[str, str] = {
    "en": "English",
    "es": "Español",
    "fr": "Français",
    "de": "Deutsch",
    "pt": "Português",
    "ar": "العربية",
    "hi": "हिन्दी",
}
"""Each language's own name by its code (ISO 639-1)."""
RIGHT_TO_LEFT = frozenset({"ar"})

_current: ContextVar[str] = ContextVar("language", default=ENGLISH)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Say everything in a language, one of `LANGUAGES`, until the end of the block."""
    token = _current.set(language)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> str:
    """Return the code of the language that `say` speaks."""
    return _current.get()


def direction(language: str) -> str:
    """Return the direction of a language's writing, as HTML's `dir` names it: `ltr` or `rtl`."""
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"


def say(template: str, /, **values: str | int) -> str:
    """Return a sentence in the current language; `template` is its English with named placeholders.

    Integers get the language's grouping. Texts that are numbers, such as `0.97` or `4 %`, get its separators.
    """
    told = _catalogue(current()).get(template, template)
    return _filled(told if isinstance(told, str) else told["other"], values)


def say_count(count: int, one: str, many: str, /, **values: str | int) -> str:
    """Return a sentence about a number of things; `{count}` stands for the number. `many` is the key."""
    told = _catalogue(current()).get(many)
    if told is None:
        told = one if count == 1 else many
    elif not isinstance(told, str):
        told = told.get(plural(count, current()), told["other"])
    return _filled(told, {**values, "count": count})


def entry(text: str) -> str:
    """Return a text as it is: it belongs in the catalogues, and something will `say` it later."""
    return text


def number(text: str) -> str:
    """Return an English number, such as `0.97`, `1,234` or `< 0.1 %`, as the current language writes it.

    Any other text stays as it is.
    """
    found = _NUMBER.fullmatch(text)
    if found is None or current() == ENGLISH:
        return text
    point, group = _SEPARATORS.get(current(), (".", ","))
    whole = found["whole"].replace(",", group)
    if current() in _INDIAN_GROUPS and "," in found["whole"]:
        digits = found["whole"].replace(",", "")
        whole = re.sub(r"\B(?=(?:\d\d)+$)", ",", digits[:-3]) + "," + digits[-3:]
    # Spanish leaves numbers of four digits ungrouped.
    if current() == "es" and re.fullmatch(r"\d,\d{3}", found["whole"]):
        whole = found["whole"].replace(",", "")
    return found["before"] + whole + (found["part"] or "").replace(".", point) + found["after"]


def translated(text: str) -> str:
    """Return finished English in the current language: a sentence, several of them, or a list of phrases.

    Parts that are not recognised, such as what a file says, stay as they are.
    """
    if current() == ENGLISH or not text or len(text) > _LONGEST:
        return text
    return _known(text) or _sentences(text) or _whole(text) or _list(text) or number(text)


def catalogue(language: str, section: str) -> Mapping[str, str | Mapping[str, str]]:
    """Return one section of a language's catalogue, `page` or `reports`: what each English text means.

    A text with a plural has one form for each of the language's plural categories (CLDR).
    """
    if language == ENGLISH:
        return {}
    document = json.loads((files("tamperscope.languages") / f"{language}.json").read_text("utf-8"))
    found: Mapping[str, str | Mapping[str, str]] = document[section]
    return found


def plural(count: int, language: str) -> str:
    """Return the plural category (CLDR) of a whole number in a language, such as `one` or `other`."""
    if language == "ar":
        if count <= 2:
            return ("zero", "one", "two")[count]
        last = count % 100
        return "few" if 3 <= last <= 10 else "many" if last >= 11 else "other"
    if language in ("es", "fr", "pt") and count and count % 1_000_000 == 0:
        return "many"
    return "one" if count == 1 or (count == 0 and language in ("fr", "hi", "pt")) else "other"


_SEPARATORS = {"es": (",", "."), "fr": (",", "\N{NARROW NO-BREAK SPACE}"), "de": (",", "."), "pt": (",", ".")}
"""Decimal point and grouping where they are not those of English."""
_INDIAN_GROUPS = frozenset({"hi"})
_NUMBER = re.compile(
    r"(?P<before>[<≈]?\s?)(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?P<part>\.\d+)?(?P<after>\s?[%×]?)"
)
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_LONGEST = 4000
"""Characters of a text that is searched for known sentences."""
_MOST_SENTENCES = 6
"""Sentences that one template has at most, what it quotes included."""
_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z])|(?<=[.!?]”) (?=[A-Z])")
_FEWEST_LETTERS = 4
"""Letters that a template needs between its values to be recognised by them alone."""
_DEEPEST = 4
"""Phrases within phrases."""


@functools.cache
def _catalogue(language: str) -> Mapping[str, str | Mapping[str, str]]:
    return catalogue(language, "reports")


def _filled(template: str, values: Mapping[str, str | int]) -> str:
    written = {name: _written(value) for name, value in values.items()}
    return _PLACEHOLDER.sub(lambda found: written.get(found[1], found[0]), template)


def _written(value: str | int) -> str:
    return number(f"{value:,}") if isinstance(value, int) else number(value)


@dataclass(frozen=True)
class _Template:
    key: str
    literals: tuple[str, ...]
    """What stands before, between and after the placeholders."""
    names: tuple[str, ...]

    def values(self, text: str) -> dict[str, str] | None:
        """Return what a text has in the places of the placeholders; None if it was not made from this."""
        first, *middle, last = self.literals
        if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
            return None
        # A headline has no full stop, so what has one is a sentence, of another template.
        if first[:1].isupper() and not last and text.endswith("."):
            return None
        at, end = len(first), len(text) - len(last)
        found = []
        for literal in middle:
            next_at = text.find(literal, at, end)
            if next_at < 0:
                return None
            found.append(text[at:next_at])
            at = next_at + len(literal)
        return dict(zip(self.names, (*found, text[at:end]), strict=True))


@functools.cache
def _templates(language: str) -> tuple[_Template, ...]:
    """Return the templates of a catalogue, those with the most words of their own first."""
    found = []
    for key in _catalogue(language):
        parts = _PLACEHOLDER.split(key)
        literals, names = tuple(parts[::2]), tuple(parts[1::2])
        letters = sum(character.isalpha() for character in "".join(literals))
        # `{several} and {last}` would take any sentence apart.
        if names and (letters >= _FEWEST_LETTERS or (letters and (literals[0] or literals[-1]))):
            found.append(_Template(key, literals, names))
    return tuple(sorted(found, key=lambda each: -sum(map(len, each.literals))))


def _known(text: str) -> str | None:
    """Return a text without placeholders."""
    told = _catalogue(current()).get(text)
    return told if isinstance(told, str) else None


def _whole(text: str, depth: int = 0) -> str | None:
    """Return one sentence or phrase, with the phrases among its values."""
    if known := _known(text):
        return known
    for template in _templates(current()):
        values = template.values(text)
        if values is not None:
            told = _catalogue(current())[template.key]
            named = {name: _part(value, depth + 1) for name, value in values.items()}
            return _filled(told if isinstance(told, str) else told["other"], named)
    return None


def _part(text: str, depth: int) -> str:
    if depth > _DEEPEST or not text:
        return text
    return _whole(text, depth) or _list(text, depth) or text


def _sentences(text: str) -> str | None:
    """Return several sentences, each recognised on its own; None for a single one."""
    pieces = _SENTENCE_END.split(text)
    if len(pieces) == 1:
        return None
    told = []
    while pieces:
        # A template with a value would take the sentences behind it for a part of that value.
        for many in range(1, min(len(pieces), _MOST_SENTENCES) + 1):
            known = _whole(" ".join(pieces[:many]))
            if known is not None:
                break
        else:
            many, known = 1, pieces[0]
        told.append(known)
        del pieces[:many]
    return " ".join(told)


def _list(text: str, depth: int = 0) -> str | None:
    """Return an enumeration of known phrases; None for any other text."""
    for separator in (entry("; "), entry(", ")):
        if separator in text:
            parts = text.split(separator)
            told = [_whole(part, depth + 1) or _list(part, depth + 1) for part in parts]
            if all(each is not None for each in told):
                return say(separator).join(each for each in told if each is not None)
    return None
