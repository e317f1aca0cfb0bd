import grpc
import pytest

from llm_client.ways import ORDER, PACE, Look, Trial, Way, best, look, trial_of


def test_a_first_call_loses_two_seconds_at_most_to_a_missing_control_plane() -> None:
    assert sum(PACE.trial(way) for way in ORDER) <= 2


@pytest.mark.parametrize(
    ("code", "trial"),
    [
        (grpc.StatusCode.OK, Trial.ANSWERED),
        (grpc.StatusCode.UNIMPLEMENTED, Trial.ANSWERED),
        (grpc.StatusCode.NOT_FOUND, Trial.ANSWERED),
        (grpc.StatusCode.UNAVAILABLE, Trial.REFUSED),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Trial.SILENT),
    ],
)
def test_only_a_servers_word_proves_a_way(code: grpc.StatusCode, trial: Trial) -> None:
    assert trial_of(code) is trial


YES, NO, MUTE = Trial.ANSWERED, Trial.REFUSED, Trial.SILENT


@pytest.mark.parametrize("now", [None, *ORDER])
@pytest.mark.parametrize("way", ORDER)
def test_the_way_that_leads_to_a_server_is_taken(way: Way, now: Way | None) -> None:
    trials = {each: NO for each in ORDER[: ORDER.index(way)]} | {way: YES}
    assert best(trials, now) is way


@pytest.mark.parametrize("trial", [NO, MUTE])
def test_if_none_does_the_way_that_works_now_is_kept(trial: Trial) -> None:
    assert best(dict.fromkeys(ORDER, trial), Way.PODS) is Way.PODS


@pytest.mark.parametrize("trial", [NO, MUTE])
def test_if_none_does_the_control_plane_has_the_last_word(trial: Trial) -> None:
    assert best(dict.fromkeys(ORDER, trial), None) is Way.XDS


def test_if_there_is_nobody_at_all_the_service_will_have_somebody_first() -> None:
    assert best({Way.PODS: NO, Way.SERVICE: NO}, None) is Way.SERVICE


@pytest.mark.parametrize(
    ("age", "has_failed", "expected"),
    [
        (29.9, False, Look.NONE),
        (30.0, False, Look.MEANWHILE),
        (0.9, True, Look.NONE),
        (1.0, True, Look.FIRST),
        (1e6, True, Look.FIRST),
    ],
)
def test_there_is_a_look_after_a_while_and_sooner_without_a_connection(
    age: float, has_failed: bool, expected: Look
) -> None:
    assert look(age, PACE, is_final=False, has_failed=has_failed) is expected


@pytest.mark.parametrize("has_failed", [False, True])
def test_who_has_got_through_by_xds_never_looks_again(has_failed: bool) -> None:
    assert look(1e6, PACE, is_final=True, has_failed=has_failed) is Look.NONE
