import pytest
from bench.load.grammar import InvalidPlanError
from bench.load.phases import Burst, Closed, Pause, Phase, Poisson, Ramp, Trace, parse_phase
from bench.load.report import phase_name


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("closed:streams=10,seconds=60", Closed(10, 60.0)),
        ("closed:streams=1,requests=5", Closed(1, requests=5)),
        ("poisson:rate=0.5,seconds=60", Poisson(0.5, 60.0)),
        ("ramp:start=0,end=20,seconds=1.5", Ramp(0.0, 20.0, 1.5)),
        ("burst:size=50,every=10,seconds=60", Burst(50, 10.0, 60.0)),
        ("trace:file=a.csv,speed=2", Trace("a.csv", 2.0)),
        ("trace:file=a.csv", Trace("a.csv")),
        ("pause:seconds=30", Pause(30.0)),
    ],
)
def test_a_phase_is_told_as_it_was_written(text: str, phase: Phase) -> None:
    assert parse_phase(text) == phase
    assert parse_phase(phase_name(phase)) == phase


def test_spaces_around_keys_and_values_do_not_matter() -> None:
    assert parse_phase("closed: streams = 2 , seconds = 3") == Closed(2, 3.0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "unknown kind ''; take one of closed, poisson"),
        ("flood:rate=1", "unknown kind 'flood'"),
        ("closed", "streams is missing; add streams="),
        ("closed:streams=2", "seconds is missing; add seconds=… or requests=…"),
        ("closed:streams=0,seconds=1", "streams is 0, it must be between 1 and 10000"),
        ("closed:streams=1.5,seconds=1", "streams is '1.5', not a whole number"),
        ("closed:streams=1,seconds=0", "seconds is 0, it must be between 0.001"),
        ("closed:streams=1,seconds=-3", "seconds is -3"),
        ("closed:streams=1,seconds=99999", "seconds is 99999"),
        ("closed:streams=1,streams=2,seconds=1", "streams is given twice"),
        ("closed:streams=1,second=1", "unknown key 'second'; take one of streams, seconds"),
        ("closed:streams", "'streams' is not key=value"),
        ("poisson:rate=nan,seconds=1", "rate is 'nan', not a finite number"),
        ("poisson:rate=inf,seconds=1", "rate is 'inf', not a finite number"),
        ("poisson:rate=many,seconds=1", "rate is 'many', not a number"),
        ("ramp:start=0,end=0,seconds=1", "start and end are both 0; take pause"),
        ("burst:size=1,seconds=1", "every is missing"),
        ("trace:speed=2", "file is missing"),
    ],
)
def test_a_wrong_phase_is_refused_with_the_field_and_the_limit(text: str, complaint: str) -> None:
    with pytest.raises(InvalidPlanError) as caught:
        parse_phase(text)
    assert complaint in str(caught.value)
    assert repr(text) in str(caught.value)
