"""Clients are not told at once that there is nobody left, nor that calls go to other clusters."""

from hypothesis import given
from hypothesis import strategies as st

from llm_operator.kube.store import Key
from llm_operator.xds.patience import HOLD_SECONDS, PREPARE_SECONDS, Held, has_ready, held
from llm_operator.xds.traffic import Endpoint, Health, Share, Traffic

POD = (Endpoint("10.0.0.1", 50051),)
GONE = (Endpoint("10.0.0.1", 50051, Health.UNREADY),)


def with_pods(*endpoints: Endpoint) -> Traffic:
    return Traffic(key=Key("team", "qwen"), endpoints={"qwen": endpoints})


def shown(state: Held) -> tuple[Endpoint, ...]:
    return state.shown.endpoints["qwen"]


def test_the_last_pods_are_shown_for_a_moment_after_they_went() -> None:
    before = held(None, with_pods(*POD), 0.0)
    assert shown(held(before, with_pods(), 10.0)) == POD


def test_pods_that_are_there_but_not_ready_count_as_gone() -> None:
    before = held(None, with_pods(*POD), 0.0)
    after = held(before, with_pods(*GONE), 10.0)
    assert shown(after)[0].health is Health.READY
    assert after.until == 10.0 + HOLD_SECONDS


def test_after_the_moment_clients_are_told() -> None:
    before = held(held(None, with_pods(*POD), 0.0), with_pods(), 10.0)
    after = held(before, with_pods(), 10.0 + HOLD_SECONDS)
    assert shown(after) == ()
    assert after.until is None


def test_the_moment_is_counted_from_when_the_set_became_empty() -> None:
    first = held(held(None, with_pods(*POD), 0.0), with_pods(), 10.0)
    again = held(first, with_pods(*GONE), 11.0)
    assert again.until == 10.0 + HOLD_SECONDS


def test_a_pod_that_comes_ends_the_moment() -> None:
    before = held(held(None, with_pods(*POD), 0.0), with_pods(), 10.0)
    other = Endpoint("10.0.0.2", 50051)
    after = held(before, with_pods(other), 11.0)
    assert (shown(after), after.until) == ((other,), None)


def test_what_never_had_a_pod_is_shown_empty() -> None:
    first = held(None, with_pods(), 0.0)
    assert (shown(first), first.until) == ((), None)
    assert shown(held(first, with_pods(), 1.0)) == ()


def shared(**percents: int) -> Traffic:
    """Each revision has a pod, of its own address."""
    shares = tuple(Share(revision, percent) for revision, percent in percents.items())
    pods = {f"qwen-{revision}": (Endpoint(f"10.0.1.{revision}", 50051),) for revision in percents}
    return Traffic(key=Key("team", "qwen"), shares=shares, endpoints=pods)


def test_calls_go_where_they_went_until_clients_know_the_new_clusters() -> None:
    before = held(None, with_pods(*POD), 0.0)
    after = held(before, shared(a=90, b=10), 10.0)
    assert after.shown.shares == ()
    assert after.shown.endpoints == {"qwen": POD, **shared(a=90, b=10).endpoints}
    assert after.until == 10.0 + PREPARE_SECONDS


def test_after_that_they_go_to_the_new_ones_alone() -> None:
    before = held(held(None, with_pods(*POD), 0.0), shared(a=90, b=10), 10.0)
    after = held(before, shared(a=90, b=10), 10.0 + PREPARE_SECONDS)
    assert after == Held(shared(a=90, b=10))


def test_one_more_revision_is_awaited_with_the_shares_of_before() -> None:
    before = held(None, shared(a=100), 0.0)
    after = held(before, shared(a=80, b=20), 10.0)
    assert after.shown.shares == shared(a=100).shares
    assert after.shown.endpoints == shared(a=80, b=20).endpoints


def test_other_shares_of_clusters_that_are_known_are_shown_at_once() -> None:
    before = held(None, shared(a=90, b=10), 0.0)
    assert held(before, shared(a=10, b=90), 10.0) == Held(shared(a=10, b=90))
    assert held(before, shared(b=100), 10.0) == Held(shared(b=100))


def test_what_is_taken_back_meanwhile_was_never_called() -> None:
    before = held(held(None, with_pods(*POD), 0.0), shared(a=90, b=10), 10.0)
    assert held(before, with_pods(*POD), 10.5) == Held(with_pods(*POD))


def test_the_last_new_cluster_is_the_one_to_wait_for() -> None:
    before = held(held(None, with_pods(*POD), 0.0), shared(a=100), 10.0)
    after = held(before, shared(a=90, b=10), 10.5)
    assert after.until == 10.5 + PREPARE_SECONDS
    assert held(after, shared(a=90, b=10), 10.0 + PREPARE_SECONDS).shown.shares == ()


@given(
    st.lists(
        st.tuples(
            st.floats(0, 5), st.sampled_from([with_pods(), with_pods(*POD), with_pods(*GONE)])
        ),
        max_size=12,
    )
)
def test_nobody_is_shown_pods_that_went_longer_ago_than_the_moment(
    course: list[tuple[float, Traffic]],
) -> None:
    now, state, last_ready = 0.0, held(None, with_pods(*POD), 0.0), 0.0
    for pause, told in course:
        now += pause
        was_ready = has_ready(state.shown.endpoints["qwen"])
        state = held(state, told, now)
        if has_ready(told.endpoints["qwen"]):
            last_ready = now
            assert shown(state) == told.endpoints["qwen"]
        elif was_ready and state.until is None:
            assert now - last_ready >= HOLD_SECONDS
        elif state.until is not None:
            assert state.until > now
