from __future__ import annotations

import numpy as np
import pytest

from networks import tiny_bundle
from tamperscope.bundle import Bundle


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def joint_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """One tiny network with all three outputs, not calibrated."""
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "joint", "joint")


@pytest.fixture(scope="session")
def pair_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Two tiny networks, as imported checkpoints become; the mask has two channels in PyTorch."""
    return tiny_bundle(
        tmp_path_factory.mktemp("bundles") / "pair", "segmentation", "classification", classes=2
    )
