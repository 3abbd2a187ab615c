"""A short round of `make siege`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from robustness.siege import ATTACKS, Server, started

# The others take long, or measure time.
SHORT = ("hosts", "pages", "pipelining", "archive", "announced", "metadata")


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[tuple[str, ...], Server]]:
    """Return a server without keys and one with keys."""
    with started() as without, started("--keys") as with_keys:
        yield {(): without, ("--keys",): with_keys}


@pytest.mark.parametrize("name", SHORT)
def test_the_server_does_not_give_way(servers, name):
    attack, options = ATTACKS[name]

    assert attack(servers[options], 0.05).failures == []
    assert servers[options].send("GET", "/health")[0] == 200
