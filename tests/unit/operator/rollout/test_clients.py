"""Whether clients follow a share."""

import pytest

from llm_operator.rollout.clients import Clients, ClientTraffic, have_accepted

SHARES = {"aaaa": 90, "bbbb": 10}
FOLLOWS = ClientTraffic(shares=SHARES, streams=3, acknowledged=3)
BEHIND = ClientTraffic(shares=SHARES, streams=3, acknowledged=2)
OLD = ClientTraffic(shares={"aaaa": 100}, streams=3, acknowledged=3)
ALONE = ClientTraffic(shares=SHARES)


def test_a_share_is_accepted_when_every_client_of_every_pod_has_done_so() -> None:
    assert have_accepted([FOLLOWS, ALONE], SHARES)


@pytest.mark.parametrize("other", [BEHIND, OLD, None], ids=["behind", "told another", "unheard"])
def test_one_that_is_behind_is_enough_for_a_no(other: ClientTraffic | None) -> None:
    assert not have_accepted([FOLLOWS, other], SHARES)


def test_without_a_control_plane_pod_nobody_knows() -> None:
    assert not have_accepted([], SHARES)


def test_a_revision_without_a_share_is_not_told_of() -> None:
    assert have_accepted([OLD], {"aaaa": 100, "bbbb": 0})


def test_one_refusal_is_told() -> None:
    refusing = ClientTraffic(refusal="no such policy")
    assert Clients(reports=(FOLLOWS, None, refusing)).refusal == "no such policy"
    assert Clients(reports=(FOLLOWS,)).refusal == ""
