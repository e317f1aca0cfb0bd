import json

import pytest
from bench.load.course import Course, End, Fate, Objective, end_of_stream
from bench.load.tally import Tally


def course_of(tally: Tally, arrivals: list[tuple[float, int]], due: float = 0.0) -> Course:
    """A request due at a time, whose answer grew by so many tokens at such times."""
    course = Course(wanted=sum(count for _, count in arrivals), due=due, sent=due)
    tally.begin(course, 10)
    for now, count in arrivals:
        tally.grow(course, count, now)
    return course


def answered(tally: Tally, arrivals: list[tuple[float, int]], due: float = 0.0) -> None:
    course = course_of(tally, arrivals, due)
    tally.end(course, End(Fate.ANSWERED), arrivals[-1][0])


def test_latencies_count_from_the_time_the_request_was_due() -> None:
    tally = Tally()
    course = Course(wanted=1, due=1.0, sent=1.5)
    tally.begin(course, 10)
    tally.grow(course, 1, 2.0)
    tally.end(course, End(Fate.ANSWERED), 2.0)
    assert tally.first_token.largest == pytest.approx(1.0)
    assert tally.whole_answer.largest == pytest.approx(1.0)
    assert tally.lateness.largest == pytest.approx(0.5)


def test_tokens_that_come_together_share_the_gap_before_them() -> None:
    tally = Tally()
    answered(tally, [(1.0, 1), (1.4, 4)])
    assert tally.inter_token.count == 4
    assert tally.inter_token.largest == pytest.approx(0.1)


def test_the_first_message_counts_for_the_first_token_alone() -> None:
    tally = Tally()
    answered(tally, [(1.0, 3)])
    assert tally.first_token.count == 1
    assert tally.inter_token.count == 0


@pytest.mark.parametrize(
    ("objective", "good"),
    [
        (Objective(), True),
        (Objective(first_token=1.0, inter_token=0.1), True),
        (Objective(first_token=0.9), False),
        (Objective(inter_token=0.09), False),
    ],
)
def test_an_answer_is_good_when_both_of_its_latencies_are(objective: Objective, good: bool) -> None:
    tally = Tally(objective)
    answered(tally, [(1.0, 1), (1.05, 1), (1.2, 1)])
    assert tally.good == int(good)
    assert tally.good_tokens == 3 * good


def test_an_answer_of_one_token_is_judged_by_its_first_token() -> None:
    tally = Tally(Objective(first_token=1.0, inter_token=0.0))
    answered(tally, [(0.5, 1)])
    assert tally.good == 1


def test_every_request_has_one_fate_or_is_under_way() -> None:
    tally = Tally()
    for fate in Fate:
        tally.end(course_of(tally, [(1.0, 1)]), End(fate, "UNAVAILABLE"), 2.0)
    course_of(tally, [])
    counts = tally.counts()
    assert [counts[fate] for fate in Fate] == [1] * len(Fate)
    assert (tally.sent, tally.under_way) == (len(Fate) + 1, 1)
    assert counts["errors"] == {"UNAVAILABLE": 1}


def test_only_answers_that_had_begun_are_cut() -> None:
    tally = Tally()
    for arrivals in ([], [(1.0, 1)]):
        tally.end(course_of(tally, arrivals), End(Fate.FAILED, "UNAVAILABLE"), 2.0)
    assert tally.cut == 1
    tally.end(course_of(tally, [(1.0, 1)]), End(Fate.ABORTED), 2.0)
    assert tally.cut == 2


def test_an_answer_with_fewer_tokens_than_asked_for_is_short() -> None:
    tally = Tally()
    course = Course(wanted=5, due=0.0, sent=0.0)
    tally.begin(course, 10)
    tally.grow(course, 4, 1.0)
    tally.end(course, End(Fate.ANSWERED), 1.0)
    assert tally.short == 1


@pytest.mark.parametrize(
    ("reported", "received", "aborted", "fate"),
    [
        (3, 3, False, Fate.ANSWERED),
        (3, 3, True, Fate.ABORTED),
        (3, 2, False, Fate.LOST),
        (3, 2, True, Fate.LOST),
    ],
)
def test_an_answer_with_tokens_missing_is_lost(
    reported: int, received: int, aborted: bool, fate: Fate
) -> None:
    assert end_of_stream(reported, received, was_aborted=aborted) == End(fate)


def test_rates_count_until_the_last_answer_of_the_phase() -> None:
    tally = Tally(began=10.0, ended=12.0)
    answered(tally, [(13.0, 1), (15.0, 9)], due=11.0)
    summary = tally.summary()
    assert summary["seconds"] == 5.0
    assert summary["requests_per_second"] == pytest.approx(0.2)
    assert summary["good_tokens_per_second"] == pytest.approx(2.0)


def test_a_total_is_the_sum_of_its_phases() -> None:
    first, second, total = Tally(began=10.0), Tally(began=20.0), Tally()
    answered(first, [(11.0, 1), (12.0, 1)], due=10.0)
    second.end(course_of(second, [(21.0, 1)]), End(Fate.FAILED, "UNAVAILABLE"), 22.0)
    for part in (first, second):
        total.merge(part)
    assert (total.began, total.ended, total.seconds) == (10.0, 22.0, 12.0)
    assert (total.sent, total.tokens, total.cut, total.good) == (2, 3, 1, 1)
    assert total.first_token.count == 2
    assert total.errors == {"UNAVAILABLE": 1}


def test_a_summary_of_nothing_is_still_json() -> None:
    assert json.loads(json.dumps(Tally().summary(), allow_nan=False))["sent"] == 0
