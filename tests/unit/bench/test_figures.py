import pytest
from bench.figures import Figure, table


@pytest.mark.parametrize(
    ("interval", "met"),
    [((), True), ((1.0, 4.9), True), ((1.0, 5.1), None), ((5.1, 6.0), None)],
)
def test_a_target_within_the_noise_is_neither_met_nor_missed(
    interval: tuple[float, ...], met: bool | None
) -> None:
    assert Figure("added", 2.0, "%", 5, interval=interval).met is met


def test_a_value_beyond_its_target_with_all_its_noise_has_missed_it() -> None:
    assert Figure("added", 7.0, "%", 5, interval=(5.1, 9.0)).met is False
    assert Figure("rate", 7.0, "/s", 5, "higher", interval=(5.1, 9.0)).met is True


def test_a_page_tells_the_noise_and_what_it_leaves_open() -> None:
    page = table("make bench", [Figure("added", 2.0, "%", 5, interval=(-1.5, 6.25))])
    assert "| added | 2 % (-1.5 to 6.25) | <= 5 % | **cannot tell** |  |" in page
