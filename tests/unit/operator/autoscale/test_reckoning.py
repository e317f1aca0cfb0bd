"""What pods say late is put right afterwards, exactly."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_operator.autoscale.observation import Observation, PodReport
from llm_operator.autoscale.reckoning import Reckoning
from support.fleet import SLOTS, START, Course, autoscaling, load, pod

BORN = START - 100.0


@dataclass
class Told:
    """A pod's requests along time, and what is known of them: messages come `late` seconds after
    they were true."""

    number: int
    late: float = 0.0
    pause: float = 0.5
    changes: list[tuple[float, int]] = field(default_factory=lambda: [(BORN, 0)])
    born: float = BORN

    def become(self, at: float, requests: int) -> None:
        self.changes.append((at, requests))

    def requests(self, at: float) -> int:
        return [count for since, count in self.changes if since <= at][-1]

    def total(self, at: float) -> float:
        ends = [since for since, _ in self.changes[1:]] + [at]
        return sum(
            count * max(0.0, min(end, at) - since)
            for (since, count), end in zip(self.changes, ends, strict=True)
            if since < at
        )

    def report(self, now: float) -> PodReport:
        """As of the last message that has come by now; one is written every `pause`."""
        at = ((now - self.late - self.born) // self.pause) * self.pause
        told = load(
            self.requests(self.born + at),
            at_seconds=at,
            request_seconds=self.total(self.born + at),
            received=sum(count for since, count in self.changes if since <= self.born + at),
        )
        return PodReport(uid=f"pod-{self.number}", load=told, age=now - self.born - at)


def seen(now: float, *pods: PodReport) -> Observation:
    return Observation(now=now, pods=pods, current=len(pods))


Changes = st.lists(st.tuples(st.floats(0.01, 2.0), st.integers(0, 20)), max_size=20)


@given(
    courses=st.lists(Changes, min_size=1, max_size=3),
    late=st.lists(st.floats(0.0, 0.4), min_size=3, max_size=3),
    looks=st.lists(st.floats(0.05, 1.5), min_size=1, max_size=40),
)
def test_what_was_taken_and_what_was_missed_make_what_there_was(
    courses: list[list[tuple[float, int]]], late: list[float], looks: list[float]
) -> None:
    """At each look, up to its moment: exactly, but for the lines between two messages of a pod that
    the moment falls between, and they do not add up."""
    pods = [Told(number, late[number]) for number in range(len(courses))]
    for told, changes in zip(pods, courses, strict=True):
        at = START
        for after, requests in changes:
            at += after
            told.become(at, requests)
    now, counted = START, 0.0
    reports = [told.report(now) for told in pods]
    reckoning = Reckoning().see(seen(now, *reports))
    begin = reckoning.moment
    for after in looks:
        before, had = reckoning.moment, requests_of(reports) + reckoning.moved
        now += after
        reports = [told.report(now) for told in pods]
        reckoning = reckoning.see(seen(now, *reports))
        counted += had * (reckoning.moment - before) + reckoning.missed
        there_was = sum(told.total(reckoning.moment) - told.total(begin) for told in pods)
        assert abs(counted - there_was) <= len(pods) * 20 * 0.5


def requests_of(reports: list[PodReport]) -> int:
    return sum(report.load.requests for report in reports if report.load)


@given(changes=Changes, looks=st.lists(st.floats(0.05, 1.5), min_size=1, max_size=40))
def test_one_pod_is_known_exactly_to_its_last_message(
    changes: list[tuple[float, int]], looks: list[float]
) -> None:
    told, at = Told(0), START + 1
    for after, requests in changes:
        at += after
        told.become(at, requests + 1)
    told.become(START, 1)
    told.changes.sort()
    now, counted = START + 1, 0.0
    report = told.report(now)
    reckoning = Reckoning().see(seen(now, report))
    begin = reckoning.moment
    for after in looks:
        before, had = reckoning.moment, requests_of([report]) + reckoning.moved
        now += after
        report = told.report(now)
        reckoning = reckoning.see(seen(now, report))
        counted += had * (reckoning.moment - before) + reckoning.missed
        there_was = told.total(reckoning.moment) - told.total(begin)
        assert abs(counted - there_was) < 1e-3


def test_requests_that_move_to_another_pod_are_not_counted_twice() -> None:
    """Ten requests at a full pod whose messages come late move to one whose messages do not: the
    load is the same, and so is the number of pods."""
    full, fresh = Told(0, late=0.4), Told(1, late=0.02)
    full.become(START + 2, 10)
    for step in range(1, 7):
        full.become(START + 5 + step * 0.1, 10 - step)
        fresh.become(START + 5 + step * 0.1, step)
    course = Course(autoscaling(stableWindowSeconds=6), current=1)
    for _ in range(150):
        course.look((full.report(course.now + 0.1), fresh.report(course.now + 0.1)), after=0.1)
    assert max(decision.desired for decision in course.history) == 3


def test_work_that_came_and_went_between_two_messages_counts() -> None:
    quiet = pod(0, at_seconds=10.0)
    busy = pod(0, at_seconds=11.0, request_seconds=3.0, received=40)
    reckoning = Reckoning().see(seen(START, quiet)).see(seen(START + 1, busy))
    assert reckoning.missed == 3.0


def test_a_pod_that_says_more_than_there_could_have_been_is_not_believed() -> None:
    quiet = pod(0, at_seconds=10.0)
    liar = pod(0, at_seconds=11.0, request_seconds=1e9, received=2)
    reckoning = Reckoning().see(seen(START, quiet)).see(seen(START + 1, liar))
    assert reckoning.missed == 2.0


def test_a_sum_that_falls_takes_nothing_away() -> None:
    before = pod(0, at_seconds=10.0, request_seconds=50.0)
    after = pod(0, at_seconds=11.0, request_seconds=10.0)
    reckoning = Reckoning().see(seen(START, before)).see(seen(START + 1, after))
    assert reckoning.missed == 0.0


def test_a_process_that_starts_again_starts_over() -> None:
    before = pod(0, SLOTS, at_seconds=100.0, request_seconds=50.0, received=9)
    after = pod(0, 1, at_seconds=2.0, request_seconds=1.0, received=1)
    reckoning = Reckoning().see(seen(START, before)).see(seen(START + 1, after))
    assert reckoning.missed == 0.0


def test_a_pod_that_tells_no_time_is_taken_at_its_word() -> None:
    reckoning = Reckoning().see(seen(START, pod(0, 3))).see(seen(START + 1, pod(0, 3)))
    assert reckoning == Reckoning(now=START + 1, moment=START + 1)


def test_what_is_known_of_a_pod_goes_with_it() -> None:
    reckoning = Reckoning().see(seen(START, pod(0, at_seconds=1.0)))
    assert set(reckoning.tracks) == {"pod-0"}
    assert not reckoning.see(seen(START + 1)).tracks


def course_of(pods: list[Told], seconds: float, step: float = 0.1) -> Course:
    course = Course(autoscaling(stableWindowSeconds=60), current=len(pods))
    for _ in range(round(seconds / step)):
        course.look([told.report(course.now + step) for told in pods], after=step)
    return course


def stable(course: Course) -> float:
    """Requests, as the stable window takes them."""
    return SLOTS * course.memory.stable.over(course.now, 60)


def test_short_requests_count_as_long_as_they_last() -> None:
    """However seldom pods speak: two requests of 50 ms each second at each of three pods."""
    pods = [Told(number, late=0.01) for number in range(3)]
    for tick in range(0, 140):
        for told in pods:
            told.become(START + tick * 0.5 + 0.1, 1)
            told.become(START + tick * 0.5 + 0.15, 0)
    assert stable(course_of(pods, 65)) == pytest.approx(3 * 2 * 0.05, rel=0.02)


def test_a_clock_that_is_set_forward_changes_no_load() -> None:
    pods = [Told(number) for number in range(3)]
    for told in pods:
        told.become(START - 50, 3)
    course = course_of(pods, 65)
    before = stable(course)
    course.now += 400.0
    for told in pods:
        told.changes = [(at + 400.0, count) for at, count in told.changes]
        told.born += 400.0
    for _ in range(10):
        course.look([told.report(course.now + 0.1) for told in pods], after=0.1)
        assert stable(course) == pytest.approx(before, rel=0.01)


def test_a_pod_that_lies_once_is_forgotten() -> None:
    """About its clock, its requests and its sum at a time, as far as a message can."""
    honest = [Told(0)]
    honest[0].become(START - 50, 3)
    course = course_of(honest, 65)
    report = honest[0].report(course.now + 0.1)
    assert report.load is not None
    lie = replace(report.load, received=2**62, at_seconds=9e8, request_seconds=1.5e16)
    course.look([replace(report, load=lie)], after=0.1)
    for _ in range(650):
        course.look([honest[0].report(course.now + 0.1)], after=0.1)
    assert stable(course) == pytest.approx(3.0, rel=0.01)


def test_pods_that_tell_no_time_hold_nobody_up() -> None:
    old = PodReport(uid="pod-9", load=load(3), age=1000.0)
    assert Reckoning().see(seen(START, old)).moment == START
