"""Kubernetes quantities: equal amounts written differently compare equal."""

import re
from decimal import Decimal

_QUANTITY = re.compile(
    r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)(?:([eE][+-]?\d+)|([KMGTPE]i|[numkMGTPE]))?"
)
_BINARY = {f"{prefix}i": Decimal(1024) ** power for power, prefix in enumerate("KMGTPE", 1)}
_LARGE = {prefix: Decimal(1000) ** power for power, prefix in enumerate("kMGTPE", 1)}
_SMALL = {prefix: Decimal(1000) ** -power for power, prefix in enumerate("mun", 1)}
_FACTOR = {**_BINARY, **_LARGE, **_SMALL}


def parse_quantity(text: str | int | float) -> Decimal:
    """The amount of a quantity, exact.

    Raises ValueError for what is none.
    """
    match = _QUANTITY.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"not a quantity: {text!r}")
    number, exponent, suffix = match.groups()
    if exponent:
        return Decimal(number + exponent)
    return Decimal(number) * _FACTOR.get(suffix, Decimal(1))


def canonical_quantity(text: str | int | float) -> str:
    """One spelling per amount (not the API server's own); what is no quantity stays as it is."""
    try:
        return format(parse_quantity(text).normalize(), "f")
    except ValueError:
        return str(text)
