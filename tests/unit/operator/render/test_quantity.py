"""Quantities: one amount, one spelling."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_operator.render.quantity import canonical_quantity, parse_quantity


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1", "1"),
        (2, "2"),
        ("500m", "0.5"),
        ("1.5Gi", "1610612736"),
        ("1k", "1000"),
        ("1e3", "1000"),
        ("1E", "1000000000000000000"),
        ("100n", "0.0000001"),
        (".5", "0.5"),
    ],
)
def test_amounts_are_exact(text: str | int, amount: str) -> None:
    assert parse_quantity(text) == Decimal(amount)


@pytest.mark.parametrize(
    ("one", "other"), [("1000m", "1"), ("1024Mi", "1Gi"), ("0.5", "500m"), (1, "1"), ("0", "0Gi")]
)
def test_equal_amounts_have_one_spelling(one: str | int, other: str) -> None:
    assert canonical_quantity(one) == canonical_quantity(other)


@given(number=st.integers(0, 10**9), suffix=st.sampled_from(["", "m", "k", "Mi", "Gi"]))
def test_the_one_spelling_means_the_same_amount(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    assert parse_quantity(canonical_quantity(text)) == parse_quantity(text)


@pytest.mark.parametrize("text", ["", "x", "1Zi", "1 Gi", "--1"])
def test_what_is_no_quantity_stays_as_it_is(text: str) -> None:
    assert canonical_quantity(text) == text
