"""What holds for the real `decide` in every simulated cluster, whatever comes."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.autoscaler_sim.ours import Tokens
from bench.autoscaler_sim.scaler import Bounds
from bench.autoscaler_sim.trace import Trace
from bench.autoscaler_sim.world import World
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llm_operator.autoscale.observation import Observation

INITIAL = 3


@dataclass(slots=True)
class Listener:
    """Passes everything on to `decide` and keeps the wishes, one in two seconds."""

    tokens: Tokens
    wishes: list[int] = field(default_factory=list)
    period: float = 2.0

    def decide(self, observation: Observation) -> int:
        self.wishes.append(self.tokens.decide(observation))
        return self.wishes[-1]


def wishes(trace: Trace, least: int = 1, most: int = 20) -> list[int]:
    listener = Listener(Tokens(Bounds(least, most, 0.85), trace.initial))
    World(trace, listener).run()
    return listener.wishes


def even(rate: float, seconds: float) -> Trace:
    """The same request at the same intervals: constant load, without chance in it."""
    return Trace(
        name="even",
        about="",
        seconds=seconds,
        rate=lambda _at: rate,
        burstiness=1e-6,
        prompt=(400.0, 0.0),
        output=(160.0, 0.0),
        initial=INITIAL,
    )


def stairs(rates: list[float]) -> Callable[[float], float]:
    """Each rate for two minutes, again and again."""
    return lambda at: rates[int(at / 120) % len(rates)]


@given(
    rates=st.lists(st.sampled_from([0.0, 0.3, 1.0, 3.0, 9.0]), min_size=2, max_size=6),
    least=st.integers(0, 4),
    room=st.integers(0, 8),
    nodes=st.integers(INITIAL, 9),
    failures=st.lists(st.floats(10, 500), max_size=3),
    seed=st.integers(0, 99),
)
@settings(max_examples=20, deadline=None)
def test_never_below_the_minimum_nor_above_the_maximum(
    rates: list[float], least: int, room: int, nodes: int, failures: list[float], seed: int
) -> None:
    most = max(INITIAL, least) + room
    trace = Trace(
        name="any",
        about="",
        seconds=600.0,
        rate=stairs(rates),
        burstiness=4.0,
        standing_nodes=nodes,
        failures=tuple(failures),
        initial=INITIAL,
        seed=seed,
    )
    assert all(least <= wish <= most for wish in wishes(trace, least, most))


@given(rate=st.floats(0.2, 7.0))
@example(rate=1.3125)  # a load that two pods carry with room, and one does not: it is slower alone
@settings(max_examples=12, deadline=None)
def test_a_constant_load_is_left_alone_once_it_has_settled(rate: float) -> None:
    """Within 15 minutes: the pods' start, the queue of that time, the stabilization window."""
    assert len(set(wishes(even(rate, 1500.0))[450:])) == 1


@given(rate=st.floats(0.2, 5.0), more=st.floats(1.2, 2.0))
@settings(max_examples=8, deadline=None)
def test_more_load_settles_at_no_fewer_pods(rate: float, more: float) -> None:
    """A fifth more at least: less than that is within the room that is left before pods go."""
    assert wishes(even(rate, 1200.0))[-1] <= wishes(even(rate * more, 1200.0))[-1]


@given(rate=st.floats(0.2, 7.0))
@settings(max_examples=8, deadline=None)
def test_a_constant_load_is_never_left_short(rate: float) -> None:
    """Where it settles no request waits: what is served keeps up with what comes."""
    trace = even(rate, 1200.0)
    outcome = World(trace, Listener(Tokens(Bounds(1, 20, 0.85), trace.initial))).run()
    late = [r for r in outcome.requests if r.at > 900 and (r.answered or 99.0) > 2.0]
    assert not late
