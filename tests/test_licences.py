"""What a plain install and the container image contain may be passed on under the terms of THIRD_PARTY.md."""

from __future__ import annotations

import functools
import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
# As in the Dockerfile.
EXTRAS = ("", "postgres", "redis")
# Encoders under the GPL, which wheels of image libraries like to bundle.
GPL_LIBRARIES = re.compile(r"x26[45]|xvid|kvazaar")


@functools.cache
def installed() -> dict[str, metadata.Distribution]:
    """Return what tamperscope requires at run time, and what that requires, by name."""
    found: dict[str, metadata.Distribution] = {}

    def add(name: str, extras: tuple[str, ...]) -> None:
        if canonicalize_name(name) in found:
            return
        distribution = metadata.distribution(name)
        found[canonicalize_name(name)] = distribution
        for text in distribution.requires or ():
            needed = Requirement(text)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                add(needed.name, ("", *needed.extras))

    add("tamperscope", EXTRAS)
    return found


def licence(distribution: metadata.Distribution) -> str:
    described = distribution.metadata
    declared = described.get("License-Expression") or described.get("License") or ""
    classifiers = [line for line in described.get_all("Classifier") or () if line.startswith("License")]
    return "; ".join((declared[:200], *classifiers))


def test_everything_that_is_required_is_looked_at():
    assert {"flask", "pi-heif", "openvino", "psycopg", "redis", "numpy"} <= installed().keys()
    assert "torch" not in installed()


def test_nothing_is_under_the_gpl():
    strict = re.compile(r"(?<!L)GPL|(?<!Lesser )General Public License|Affero", re.IGNORECASE)

    assert {
        name: licence(each)
        for name, each in installed().items()
        if strict.search(licence(each).replace("Library or Lesser General", "Lesser General"))
    } == {}


def test_no_wheel_bundles_an_encoder_under_the_gpl():
    assert {
        f"{name}: {file.name}"
        for name, each in installed().items()
        for file in each.files or ()
        if GPL_LIBRARIES.search(file.name)
    } == set()


def test_the_notice_names_every_package_with_conditions():
    notice = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
    copyleft = {
        name for name, each in installed().items() if re.search("LGPL|MPL|Mozilla|Lesser", licence(each))
    }

    assert {"certifi", "jpeglib", "psycopg"} <= copyleft
    assert {name for name in copyleft | {"pi-heif"} if name not in notice} == set()
