from __future__ import annotations

import pytest

from tamperscope.evidence.camera_tables import NOTHING_KNOWN, Device, device_fit

OWN = Device("NIKON CORPORATION", "NIKON D90", {"0123456789ab": 2, "ba9876543210": 1})
FEW = Device("Canon", "Canon EOS 5D", {"0123456789ab": 2})
MIXED = Device("SONY", "CYBERSHOT", {"libjpeg 95": 1, "0123456789ab": 9})
LISTED = (OWN, FEW, MIXED)


def test_names_of_makers_are_compared_without_their_legal_form() -> None:
    assert device_fit("Nikon", "NIKON D90", "0123456789ab", LISTED).agrees


def test_common_tables_contradict_a_device_with_three_originals_of_its_own_tables() -> None:
    assert device_fit("NIKON CORPORATION", "NIKON D90", "libjpeg 92", LISTED).contradicts


@pytest.mark.parametrize(
    ("device", "name"),
    [
        (OWN, "ffffffffffff"),  # a device has more tables than were collected
        (FEW, "libjpeg 92"),  # two originals are not enough
        (MIXED, "libjpeg 75"),  # the device writes such tables itself
    ],
)
def test_what_is_not_known_says_nothing(device: Device, name: str) -> None:
    assert device_fit(device.maker, device.model, name, LISTED) == NOTHING_KNOWN


def test_a_maker_whose_devices_all_have_their_own_tables_vouches_for_a_new_model() -> None:
    devices = tuple(Device("Apple", f"iPhone {number}", {"0123456789ab": 3}) for number in range(5))

    assert device_fit("Apple", "iPhone 99", "libjpeg 92", devices).contradicts
    assert not device_fit("Apple", "iPhone 99", "libjpeg 92", devices[:4]).contradicts
