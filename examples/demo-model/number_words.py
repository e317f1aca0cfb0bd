"""Whole numbers from 0 to 999,999 in English and French words: the rules behind the number task."""

LARGEST = 999_999


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ENGLISH_SMALL = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_ENGLISH_TENS = _words("- - twenty thirty forty fifty sixty seventy eighty ninety")
_FRENCH_SMALL = _words(
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze "
    "seize dix-sept dix-huit dix-neuf"
)
# Seventy and ninety have no word of their own: they count on from sixty and eighty.
_FRENCH_TENS = _words(
    "- - vingt trente quarante cinquante soixante soixante quatre-vingt quatre-vingt"
)


def english(number: int) -> str:
    """`number` in English words, hyphens between tens and units and no "and".

    >>> english(2042)
    'two thousand forty-two'

    Raises ValueError outside 0..LARGEST.
    """
    _check(number)
    thousands, rest = divmod(number, 1000)
    if not thousands:
        return _english_below_thousand(rest)
    words = f"{_english_below_thousand(thousands)} thousand"
    return f"{words} {_english_below_thousand(rest)}" if rest else words


def french(number: int) -> str:
    """`number` in French words (France; spelling before 1990: hyphens below one hundred only).

    >>> french(2081)
    'deux mille quatre-vingt-un'

    Raises ValueError outside 0..LARGEST.
    """
    _check(number)
    thousands, rest = divmod(number, 1000)
    if not thousands:
        return _french_below_thousand(rest, plural=True)
    # "quatre-vingts" and "cents" lose their s before "mille", and "un mille" is just "mille".
    prefix = "" if thousands == 1 else f"{_french_below_thousand(thousands, plural=False)} "
    words = f"{prefix}mille"
    return f"{words} {_french_below_thousand(rest, plural=True)}" if rest else words


def _check(number: int) -> None:
    if not 0 <= number <= LARGEST:
        raise ValueError(f"number must be between 0 and {LARGEST}, not {number}")


def _english_below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _english_below_hundred(rest)
    words = f"{_ENGLISH_SMALL[hundreds]} hundred"
    return f"{words} {_english_below_hundred(rest)}" if rest else words


def _english_below_hundred(number: int) -> str:
    if number < len(_ENGLISH_SMALL):
        return _ENGLISH_SMALL[number]
    tens, unit = divmod(number, 10)
    return f"{_ENGLISH_TENS[tens]}-{_ENGLISH_SMALL[unit]}" if unit else _ENGLISH_TENS[tens]


def _french_below_thousand(number: int, *, plural: bool) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _french_below_hundred(rest, plural=plural)
    words = "cent" if hundreds == 1 else f"{_FRENCH_SMALL[hundreds]} cent"
    if rest:
        return f"{words} {_french_below_hundred(rest, plural=plural)}"
    return f"{words}s" if hundreds > 1 and plural else words


def _french_below_hundred(number: int, *, plural: bool) -> str:
    if number < len(_FRENCH_SMALL):
        return _FRENCH_SMALL[number]
    tens, unit = divmod(number, 10)
    if tens in (7, 9):
        unit += 10
    if number == 80:
        return "quatre-vingts" if plural else "quatre-vingt"
    if unit == 0:
        return _FRENCH_TENS[tens]
    joiner = " et " if unit in (1, 11) and tens < 8 else "-"
    return f"{_FRENCH_TENS[tens]}{joiner}{_FRENCH_SMALL[unit]}"
