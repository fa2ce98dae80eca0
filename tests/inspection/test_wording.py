"""Numbers in sentences: signs and plurals."""

import pytest

from q2a_core.inspection.wording import counted, rounded, signed


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.0, "0.00"),
        (-0.0, "0.00"),
        (-0.004, "0.00"),
        (0.004, "0.00"),
        (-0.006, "−0.01"),
        (0.1, "+0.10"),
        (-18.27, "−18.27"),
        (100, "+100.00"),
    ],
)
def test_a_difference_has_a_sign_where_it_is_one(value, told):
    assert signed(value) == told


def test_no_minus_before_zero():
    assert [rounded(-0.004), rounded(-0.006), rounded(-0.0, 1)] == ["0.00", "-0.01", "0.0"]


def test_nouns_agree():
    assert [counted(n, "tile") for n in (0, 1, 2, 1024)] == [
        "0 tiles",
        "1 tile",
        "2 tiles",
        "1,024 tiles",
    ]
