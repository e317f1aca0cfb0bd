import pytest
from number_words import LARGEST, english, french

KNOWN = [
    (0, "zero", "zéro"),
    (1, "one", "un"),
    (16, "sixteen", "seize"),
    (17, "seventeen", "dix-sept"),
    (21, "twenty-one", "vingt et un"),
    (61, "sixty-one", "soixante et un"),
    (70, "seventy", "soixante-dix"),
    (71, "seventy-one", "soixante et onze"),
    (77, "seventy-seven", "soixante-dix-sept"),
    (80, "eighty", "quatre-vingts"),
    (81, "eighty-one", "quatre-vingt-un"),
    (91, "ninety-one", "quatre-vingt-onze"),
    (99, "ninety-nine", "quatre-vingt-dix-neuf"),
    (100, "one hundred", "cent"),
    (101, "one hundred one", "cent un"),
    (200, "two hundred", "deux cents"),
    (280, "two hundred eighty", "deux cent quatre-vingts"),
    (999, "nine hundred ninety-nine", "neuf cent quatre-vingt-dix-neuf"),
    (1000, "one thousand", "mille"),
    (1971, "one thousand nine hundred seventy-one", "mille neuf cent soixante et onze"),
    (2042, "two thousand forty-two", "deux mille quarante-deux"),
    (5300, "five thousand three hundred", "cinq mille trois cents"),
    (80_000, "eighty thousand", "quatre-vingt mille"),
    (200_080, "two hundred thousand eighty", "deux cent mille quatre-vingts"),
]


@pytest.mark.parametrize(("number", "in_english", "in_french"), KNOWN)
def test_known_numbers_have_their_words(number: int, in_english: str, in_french: str) -> None:
    assert (english(number), french(number)) == (in_english, in_french)


def test_no_two_numbers_share_their_words() -> None:
    numbers = range(20_000)

    assert len({english(n) for n in numbers}) == len(numbers)
    assert len({french(n) for n in numbers}) == len(numbers)


@pytest.mark.parametrize("number", [-1, LARGEST + 1])
def test_a_number_outside_the_range_is_refused_with_the_limit(number: int) -> None:
    with pytest.raises(ValueError, match="between 0 and 999999"):
        english(number)
    with pytest.raises(ValueError, match="between 0 and 999999"):
        french(number)
