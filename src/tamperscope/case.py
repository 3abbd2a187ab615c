"""What a person adds to an analysis: title, case, notes and tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

LONGEST_LINE, LONGEST_NOTES, LONGEST_REGION_NOTE, LONGEST_TAG, LONGEST_LABEL = 200, 4000, 1000, 40, 8
"""Characters."""
MOST_TAGS, MOST_REGION_NOTES = 20, 100

_LINES = 3
_MOST_CHARACTERS = (
    _LINES * LONGEST_LINE
    + LONGEST_NOTES
    + MOST_TAGS * LONGEST_TAG
    + MOST_REGION_NOTES * (LONGEST_LABEL + LONGEST_REGION_NOTE)
)
_ESCAPED_BYTES = 12
LARGEST_JSON = _ESCAPED_BYTES * _MOST_CHARACTERS + 2**16
"""Bytes of JSON that are enough for the longest details, in any script and with every character escaped.

A character beyond the first 65,536 is escaped as two numbers of six bytes each. The rest is for names, spaces
and punctuation.
"""


@dataclass(frozen=True)
class CaseDetails:
    """What a person adds to an analysis and its reports. Empty texts are left out there."""

    title: str = ""
    number: str = ""
    """The case's number or name."""
    analyst: str = ""
    notes: str = ""
    tags: tuple[str, ...] = ()
    region_notes: Mapping[str, str] = field(default_factory=dict)
    """Notes by the label of the region, such as `1a`."""

    def to_json(self) -> dict[str, Any]:
        """Return the details in types that `json.dumps` takes."""
        return asdict(self) | {"tags": list(self.tags)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any] | None) -> Self:
        """Read back what `to_json` returned; None gives empty details."""
        if document is None:
            return cls()
        return cls(**{**document, "tags": tuple(document["tags"])})

    @property
    def words(self) -> str:
        """Everything that a search looks through, in lower case."""
        texts = (self.title, self.number, self.analyst, self.notes, *self.tags, *self.region_notes.values())
        return "\n".join(texts).casefold()


NO_CASE = CaseDetails()
