from __future__ import annotations

from io import BytesIO

import numpy as np
import PIL.Image
import pytest


@pytest.fixture
def photo() -> PIL.Image.Image:
    """A 96 x 64 picture in which no two rows or columns are alike."""
    noise = np.random.default_rng(7).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    return PIL.Image.fromarray(noise)


@pytest.fixture
def photo_png(photo: PIL.Image.Image) -> bytes:
    buffer = BytesIO()
    photo.save(buffer, "PNG")
    return buffer.getvalue()
