from __future__ import annotations

import numpy as np

import samples
from tamperscope.evidence import error_level
from tamperscope.images import read_image

REGION = slice(96, 224), slice(128, 288)


def test_a_never_compressed_paste_would_change_more() -> None:
    picture = samples.decode(samples.encode(samples.scene(), quality=70)).copy()
    picture[REGION] = samples.scene(seed=1)[REGION]
    evidence = error_level.measure(read_image(samples.encode(picture, quality=95)))
    truth = np.zeros((384, 512), bool)
    truth[REGION] = True
    assert evidence.map is not None
    assert evidence.map[truth].mean() > 1.5 * evidence.map[~truth].mean()


def test_it_never_counts_as_a_finding() -> None:
    for quality in (50, 90):
        assert error_level.measure(read_image(samples.encode(samples.scene(), quality=quality))).strength == 0


def test_a_jpeg_is_saved_below_its_own_quality() -> None:
    evidence = error_level.measure(read_image(samples.encode(samples.scene(), quality=75)))
    assert evidence.finding.startswith("Saving at quality 70 changes")
