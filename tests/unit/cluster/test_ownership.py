"""Who owns a running cluster, and when it is replaced."""

from dataclasses import replace

import pytest

from llm_cluster.ownership import Action, Found, Wanted, decide

OURS = Found(checkout="/home/a/llm-operator", fingerprint="f1")
WANTED = Wanted(checkout="/home/a/llm-operator", fingerprint="f1", ci=False)


def test_a_clean_machine_gets_a_new_cluster() -> None:
    assert decide(Found(), WANTED).action is Action.START


def test_a_healthy_cluster_of_the_same_pins_is_shared() -> None:
    assert decide(OURS, WANTED).action is Action.REUSE


def test_another_checkout_shares_a_healthy_cluster_of_the_same_pins() -> None:
    other = replace(OURS, checkout="/home/b/llm-operator")
    assert decide(other, WANTED).action is Action.REUSE


def test_a_ci_run_replaces_the_cluster_of_another_checkout() -> None:
    other = replace(OURS, checkout="/home/b/llm-operator")
    assert decide(other, replace(WANTED, ci=True)).action is Action.REPLACE


def test_a_ci_run_shares_the_cluster_of_its_own_checkout() -> None:
    assert decide(OURS, replace(WANTED, ci=True)).action is Action.REUSE


@pytest.mark.parametrize("ci", [False, True])
def test_other_pins_replace_the_cluster_whoever_started_it(ci: bool) -> None:
    assert decide(OURS, replace(WANTED, fingerprint="f2", ci=ci)).action is Action.REPLACE


def test_an_unhealthy_cluster_is_replaced_and_its_trouble_is_told() -> None:
    decision = decide(replace(OURS, trouble="not running any more: etcd"), WANTED)
    assert decision.action is Action.REPLACE
    assert "not running any more: etcd" in decision.reason


def test_replacing_names_the_checkout_whose_cluster_goes() -> None:
    other = Found(checkout="/home/b/llm-operator", fingerprint="f2")
    assert "/home/b/llm-operator" in decide(other, WANTED).reason


def test_what_a_killed_run_left_is_removed_and_named() -> None:
    decision = decide(Found(leftovers=("bridge llmbr0", "3 mounts")), WANTED)
    assert decision.action is Action.REPLACE
    assert "bridge llmbr0, 3 mounts" in decision.reason
