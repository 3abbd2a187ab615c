import itertools
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from samples import encode, photo
from tamperscope.errors import PhotosError
from tamperscope.images import read_image
from tamperscope.report import ManipulationType
from tamperscope.synthesis import Forgery, Mix, PhotoLibrary, forge, stream


def test_every_forgery_has_pixels_mask_type_and_recipe(forgeries: list[Forgery]) -> None:
    for forgery in forgeries:
        assert forgery.pixels.shape == (64, 64, 3)
        assert forgery.mask.shape == (64, 64)
        assert forgery.mask.any() == (forgery.type is not None)
        assert json.loads(json.dumps([step.to_json() for step in forgery.recipe]))


def test_authentic_images_and_several_types_are_among_them(forgeries: list[Forgery]) -> None:
    kinds = Counter(forgery.type for forgery in forgeries)
    assert 0.2 < kinds[None] / len(forgeries) < 0.6
    assert {ManipulationType.SPLICING, ManipulationType.COPYMOVE, ManipulationType.INPAINTING} <= set(kinds)


def test_the_file_of_the_last_compression_decodes_to_the_pixels(forgeries: list[Forgery]) -> None:
    suffixes = Counter(forgery.suffix for forgery in forgeries)
    assert suffixes[".jpg"] > len(forgeries) / 2
    for forgery in forgeries:
        assert (forgery.data is None) == (forgery.suffix == ".png")
        if forgery.data is not None:
            assert np.array_equal(read_image(forgery.data).pixels, forgery.pixels)


def test_a_splice_names_its_donors_and_other_types_only_their_host(forgeries: list[Forgery]) -> None:
    for forgery in forgeries:
        assert all(source.endswith(".jpg") for source in forgery.sources)
        assert (len(set(forgery.sources)) > 1) == (forgery.type is ManipulationType.SPLICING)


def test_only_copy_moves_have_a_source(forgeries: list[Forgery]) -> None:
    for forgery in forgeries:
        assert (forgery.source_mask is not None) == (forgery.type is ManipulationType.COPYMOVE)


def test_the_same_seed_gives_the_same_bytes(library: PhotoLibrary, forgeries: list[Forgery]) -> None:
    again = np.random.default_rng(3)
    for forgery in itertools.islice(forgeries, 5):
        repeated = forge(library, again, 64)
        assert repeated.pixels.tobytes() == forgery.pixels.tobytes()
        assert repeated.recipe == forgery.recipe


def test_several_workers_make_the_same_examples_as_one(library: PhotoLibrary) -> None:
    alone = [forgery.pixels.tobytes() for forgery in itertools.islice(stream(library, 5, 64), 6)]
    workers = [stream(library, 5, 64, start=start, step=2) for start in (0, 1)]
    together = [next(workers[number % 2]).pixels.tobytes() for number in range(6)]
    assert together == alone


def test_a_mix_determines_types_and_fillings(library: PhotoLibrary) -> None:
    mix = Mix(authentic=0.0, types={ManipulationType.INPAINTING: 1.0}, fillings={"stamp": 1.0})
    for forgery in itertools.islice(stream(library, 1, 64, mix), 5):
        assert forgery.type is ManipulationType.INPAINTING
        methods = [step.parameters["method"] for step in forgery.recipe if step.name == "inpainting"]
        assert methods == ["stamp"]


def test_without_faces_no_face_forgeries_are_made(library: PhotoLibrary, forgeries: list[Forgery]) -> None:
    assert all(forgery.type is not ManipulationType.FACE for forgery in forgeries)
    with pytest.raises(PhotosError, match="hardly any faces"):
        forge(library, np.random.default_rng(1), 64, Mix(types={ManipulationType.FACE: 1.0}))


def test_photos_that_are_too_small_for_the_size_are_an_error(library: PhotoLibrary) -> None:
    with pytest.raises(PhotosError, match="512 pixels; the largest allows 156"):
        forge(library, np.random.default_rng(1), 512)


def test_a_single_photo_has_no_donor(tmp_path: Path) -> None:
    (tmp_path / "only.jpg").write_bytes(encode(photo(96, 80)))
    mix = Mix(authentic=0.0, types={ManipulationType.SPLICING: 1.0})
    with pytest.raises(PhotosError, match="No splicing forgery of these photos succeeded in 200 attempts"):
        forge(PhotoLibrary.open(tmp_path), np.random.default_rng(1), 64, mix)
