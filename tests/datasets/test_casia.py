from __future__ import annotations

import numpy as np
import pytest

from samples import photo, write
from tamperscope.datasets import read_dataset
from tamperscope.report import ManipulationType

MASK = np.eye(48, 64, dtype=np.uint8) * 255


def image(root, name):
    return write(root / "Tp" / name, photo())


def mask(root, name):
    return write(root / "CASIA 1.0 groundtruth" / name, MASK)


def test_a_forgery_within_one_photo_is_copymove(tmp_path):
    image(tmp_path, "Sp_S_NNN_A_ani0031_ani0031_0197.jpg")
    mask(tmp_path, "Sp_S_NNN_A_ani0031_ani0031_0197_gt.png")

    (sample,) = read_dataset(tmp_path, "casia1").samples

    assert (sample.type, sample.sources) == (ManipulationType.COPYMOVE, ("casia1/ani0031",))


def test_forged_and_authentic_images_of_a_photo_share_the_source(make_dataset):
    forged, authentic = sorted(
        read_dataset(make_dataset("casia2").root, "casia2").samples, key=lambda sample: not sample.forged
    )

    assert set(authentic.sources) <= set(forged.sources)


@pytest.mark.parametrize(
    ("misnamed", "corrected", "type"),
    [
        ("Sp_S_NRN_A_arc0008_arc0028_0234", "Sp_D_NRN_A_arc0008_arc0028_0234", ManipulationType.SPLICING),
        ("Sp_D_NNN_A_nat0052_nat0052_0325", "Sp_S_NNN_A_nat0052_nat0052_0325", ManipulationType.COPYMOVE),
        ("Sp_D_NRN_A_cha0086_sec0021_0502", "Sp_D_NRN_A_sec0021_cha0086_0502", ManipulationType.SPLICING),
    ],
)
def test_a_misnamed_forgery_gets_the_mask_with_its_number_and_the_type_of_that_name(
    tmp_path, misnamed, corrected, type
):
    image(tmp_path, f"{misnamed}.jpg")
    mask(tmp_path, f"{corrected}_gt.png")
    # The numbers of textures are not unique. An image with a mask of its own name keeps that mask.
    image(tmp_path, f"Sp_S_NNN_R_txt0062_txt0062_{misnamed[-4:]}.jpg")
    mask(tmp_path, f"Sp_S_NNN_R_txt0062_txt0062_{misnamed[-4:]}_gt.png")

    reading = read_dataset(tmp_path, "casia1")

    (sample,) = (sample for sample in reading.samples if sample.image.stem == misnamed)
    assert reading.problems == ()
    assert (sample.mask.stem, sample.type) == (f"{corrected}_gt", type)


def test_a_number_that_two_masks_share_is_not_used(tmp_path):
    image(tmp_path, "Sp_S_NNN_R_arc0067_arc0071_0062.jpg")
    mask(tmp_path, "Sp_D_NNN_R_arc0067_arc0071_0062_gt.png")
    mask(tmp_path, "Sp_S_NNN_T_txt0062_txt0062_0062_gt.png")

    reading = read_dataset(tmp_path, "casia1")

    assert reading.samples == ()
    assert len(reading.problems) == 3


def test_names_with_odd_separators_and_mask_numbers_are_read(tmp_path):
    image(tmp_path, "Sp_D_NNN_A_ani0099_ani0100.0288.jpg")
    mask(tmp_path, "Sp_D_NNN_A_ani0099_ani0100.0288_gt3.png")

    (sample,) = read_dataset(tmp_path, "casia1").samples

    assert sample.sources == ("casia1/ani0099", "casia1/ani0100")


def test_an_image_in_two_folders_is_read_once(make_dataset):
    dataset = make_dataset("casia1")
    write(dataset.root / "Modified Tp" / dataset.forged.name, photo())

    reading = read_dataset(dataset.root, "casia1")

    assert len(reading.samples) == 2
    assert reading.problems == ()
