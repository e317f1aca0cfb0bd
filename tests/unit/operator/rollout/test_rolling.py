"""Rolling update: never fewer pods than asked for, never more than the surge beyond."""

from hypothesis import given
from hypothesis import strategies as st

from llm_operator.rollout.rolling import Fleet, next_replicas, without_target

TARGET = "target"


def fleet(hash8: str, available: int, wanted: int | None = None, number: int = 1) -> Fleet:
    found = available if wanted is None else wanted
    return Fleet(hash8=hash8, number=number, wanted=found, available=available)


def step(replicas: int, available: int, old: int, surge: int = 1) -> tuple[int, int]:
    """Next replicas of the target and of one old, stable revision with `old` available pods."""
    wanted = next_replicas(
        replicas=replicas,
        surge=surge,
        target=fleet(TARGET, available, number=2),
        old=[fleet("a", old)],
        stable="a",
    )
    return wanted[TARGET], wanted["a"]


def test_it_goes_pod_by_pod() -> None:
    assert step(3, 0, 3) == (1, 3)
    assert step(3, 1, 3) == (2, 2)
    assert step(3, 2, 2) == (3, 1)
    assert step(3, 3, 1) == (3, 0)


def test_a_single_pod_is_replaced_by_one_more() -> None:
    assert step(1, 0, 1) == (1, 1)
    assert step(1, 1, 1) == (1, 0)


def test_a_larger_surge_starts_more_at_once() -> None:
    assert step(4, 0, 4, surge=3) == (3, 4)


def test_a_first_revision_gets_everything_at_once() -> None:
    wanted = next_replicas(replicas=5, surge=1, target=fleet(TARGET, 0), old=[], stable=None)
    assert wanted == {TARGET: 5}


def test_scaling_up_in_a_rollout_scales_what_serves() -> None:
    assert step(5, 0, 2) == (1, 5)


def test_zero_replicas_end_every_revision() -> None:
    assert step(0, 0, 2) == (0, 0)


def test_an_old_revision_that_never_served_goes_at_once() -> None:
    wanted = next_replicas(
        replicas=2,
        surge=1,
        target=fleet(TARGET, 0, number=3),
        old=[fleet("a", 2, number=1), fleet("broken", 0, wanted=1, number=2)],
        stable="a",
    )
    assert wanted == {TARGET: 1, "a": 2, "broken": 0}


def test_pods_of_an_interrupted_rollout_serve_on_until_they_are_replaced() -> None:
    wanted = next_replicas(
        replicas=3,
        surge=1,
        target=fleet(TARGET, 0, number=3),
        old=[fleet("a", 2, number=1), fleet("b", 1, number=2)],
        stable="a",
    )
    assert wanted == {TARGET: 1, "a": 2, "b": 1}


def test_without_an_artifact_the_stable_revision_follows_the_spec() -> None:
    assert without_target(replicas=4, old=[fleet("a", 2)], stable="a") == {"a": 4}


COUNTS = st.integers(0, 6)


@st.composite
def situations(draw: st.DrawFn) -> tuple[int, int, Fleet, list[Fleet], str | None]:
    target = fleet(TARGET, draw(COUNTS), draw(COUNTS), number=9)
    old = [
        fleet(f"old{n}", draw(COUNTS), draw(COUNTS), number=n)
        for n in range(draw(st.integers(0, 3)))
    ]
    stable = draw(st.sampled_from([None, TARGET, *(f.hash8 for f in old)]))
    return draw(COUNTS), draw(st.integers(1, 3)), target, old, stable


@given(situations())
def test_what_serves_and_is_owed_is_kept(
    situation: tuple[int, int, Fleet, list[Fleet], str | None],
) -> None:
    replicas, surge, target, old, stable = situation
    wanted = next_replicas(replicas=replicas, surge=surge, target=target, old=old, stable=stable)
    serving = sum(min(wanted[f.hash8], f.available) for f in (target, *old))
    assert serving >= min(replicas, sum(f.available for f in (target, *old)))


@given(situations())
def test_no_more_start_than_the_surge(
    situation: tuple[int, int, Fleet, list[Fleet], str | None],
) -> None:
    replicas, surge, target, old, stable = situation
    wanted = next_replicas(replicas=replicas, surge=surge, target=target, old=old, stable=stable)
    assert wanted[TARGET] <= replicas
    is_growing = wanted[TARGET] > target.wanted
    assert not is_growing or sum(wanted.values()) <= replicas + surge


@given(situations())
def test_only_the_stable_revision_grows_among_the_old(
    situation: tuple[int, int, Fleet, list[Fleet], str | None],
) -> None:
    replicas, surge, target, old, stable = situation
    wanted = next_replicas(replicas=replicas, surge=surge, target=target, old=old, stable=stable)
    assert all(wanted[f.hash8] <= f.available for f in old if f.hash8 != stable)
