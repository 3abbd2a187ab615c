from __future__ import annotations

import pytest

from tamperscope.documents.foreign_text import LONGEST, shown


@pytest.mark.parametrize(
    "text", ["Canon EOS 5D", "北京市", "صورة", "ภาพถ่าย", "Łódź <b>&amp;", "می\u200cخواهم", "👩\u200d🚀"]
)
def test_ordinary_text_is_unchanged(text):
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpj.\u202eexe", "gpj.‹U+202E›exe"),
        ("a\u2066b\u2069", "a‹U+2066›b‹U+2069›"),
        ("nul\0bell\a", "nul‹U+0000›bell‹U+0007›"),
        ("lone \ud800 surrogate", "lone ‹U+D800› surrogate"),
        ("private \ue000", "private ‹U+E000›"),
        ("two\nlines\tand\u2028more", "two lines and more"),
    ],
)
def test_invisible_characters_that_take_effect_are_spelled_out(text, expected):
    assert shown(text) == expected
    assert shown(text).encode()


def test_long_text_is_cut_and_states_its_full_length():
    assert shown("x" * 1_000_000) == "x" * LONGEST + "… (1,000,000 characters)"
    assert shown("x" * LONGEST) == "x" * LONGEST


def test_characters_that_are_spelled_out_count_as_they_are_written():
    assert shown("\u202e" * 100) == "‹U+202E›" * (LONGEST // 8) + "… (100 characters)"


def test_piled_up_marks_are_cut():
    assert shown("Z" + "\u0301" * 500 + "!") == "Z" + "\u0301" * 3 + "!"
