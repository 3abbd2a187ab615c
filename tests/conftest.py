from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy

import services
from networks import tiny_bundle
from tamperscope.bundle import Bundle

_numbers = itertools.count()


@pytest.fixture(scope="session", autouse=True)
def _home_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep servers that a test starts without a database setting away from the user's own database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def joint_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of one tiny network with all three outputs, not calibrated."""
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "joint", "joint")


@pytest.fixture(scope="session")
def pair_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of two tiny networks, like imported checkpoints; the mask has two channels in PyTorch."""
    return tiny_bundle(
        tmp_path_factory.mktemp("bundles") / "pair", "segmentation", "classification", classes=2
    )


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a running PostgreSQL, with a placeholder for the name of the database."""
    with services.postgresql() as address:
        yield address


@pytest.fixture
def redis() -> Iterator[str]:
    """The address of a running, empty Redis."""
    with services.redis() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'analyses.db'}"
    address: str = request.getfixturevalue("postgresql").format(database="postgres")
    # A separate schema for each test: creating and dropping a whole database takes longer than most tests.
    name = f"test_{next(_numbers)}"
    engine = sqlalchemy.create_engine(address.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    engine.dispose()
    return f"{address}&options=-csearch_path%3D{name}"
