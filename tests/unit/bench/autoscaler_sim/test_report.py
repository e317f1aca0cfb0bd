"""Verdicts, figures and the page, on made-up results."""

from dataclasses import replace
from io import StringIO

import pytest
from bench.autoscaler_sim import page, report
from bench.autoscaler_sim.campaign import Result, Tally, medians
from bench.autoscaler_sim.contestant import CONTESTANTS, HPA, KPA, OURS
from bench.autoscaler_sim.verdict import Outcome, Verdict, verdicts
from rich.console import Console

NOTHING = Tally(*(0.0,) * 9)


def results(ours: tuple[float, float], hpa: float, kpa: float) -> list[Result]:
    """Pod-hours and violations of ours; of the peers, which take 10 to 14 hours, violations of
    the cheapest setting. Each further setting has an hour more and half the violations."""
    made = []
    for name in (OURS, HPA, KPA):
        settings = [one for one in CONTESTANTS if one.name == name]
        for number, contestant in enumerate(settings):
            hours, violations = (10.0 + number, {HPA: hpa, KPA: kpa}.get(name, 0) / 2**number)
            if name == OURS:
                hours, violations = (ours[0] + number, ours[1])
            tally = replace(NOTHING, requests=1000, pod_hours=hours, violations=violations)
            made.append(Result("bursts", contestant, tally, (tally, tally), ()))
    return made


def test_a_peer_is_read_at_our_pod_hours() -> None:
    hpa, kpa = verdicts(results((10.5, 100.0), hpa=100.0, kpa=200.0))
    assert (hpa.tuned, hpa.outcome) == (75.0, Outcome.LOSS)
    assert (kpa.tuned, kpa.outcome) == (150.0, Outcome.WIN)
    assert not hpa.is_beyond
    assert (hpa.seeds_ahead, kpa.seeds_ahead) == (0, 2)


def test_where_no_setting_is_as_cheap_the_cheapest_is_taken_and_marked() -> None:
    hpa, _ = verdicts(results((5.0, 90.0), hpa=100.0, kpa=200.0))
    assert (hpa.tuned, hpa.outcome, hpa.is_beyond) == (100.0, Outcome.WIN, True)


def test_the_target_is_fewer_than_each_tuned_peer() -> None:
    hpa, kpa, *_ = report.figures({"bursts": results((10.0, 150.0), hpa=100.0, kpa=200.0)})
    assert (hpa.value, hpa.target, hpa.met) == (1.5, 1.0, False)
    assert (kpa.value, kpa.target, kpa.met) == (0.75, 1.0, True)


def test_a_loss_is_told_with_its_reason() -> None:
    told = page.text({"bursts": results((10.0, 150.0), hpa=200.0, kpa=100.0)}, seeds=5)
    assert "Of 2 comparisons ours wins 1, draws 0 and loses 1." in told
    assert "*bursts* against Knative KPA: the bursts last two minutes" in told
    assert "not explained" not in told


def test_a_win_on_every_load_is_told_in_a_sentence() -> None:
    told = page.text({"bursts": results((10.0, 50.0), hpa=200.0, kpa=100.0)}, seeds=5)
    assert "Of 2 comparisons ours wins 2, draws 0 and loses 0." in told
    assert "Where ours does not do better" not in told


def seeded(ahead: int, of: int = 5) -> Verdict:
    """Against HPA on one load, with fewer violations in so many seeds."""
    hpa, _ = verdicts(results((10.0, 50.0), hpa=100.0, kpa=100.0))
    return replace(hpa, ratios=(0.9,) * ahead + (1.1,) * (of - ahead))


@pytest.mark.parametrize(
    ("ahead", "outcome"),
    [(5, "win"), (4, "win"), (3, "draw"), (2, "draw"), (1, "loss"), (0, "loss")],
)
def test_three_of_five_seeds_are_a_draw(ahead: int, outcome: str) -> None:
    assert seeded(ahead).outcome == outcome


def test_wins_draws_and_losses_are_counted_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        "constant": [seeded(5), replace(seeded(4), is_beyond=True)],
        "ramp": [seeded(3), seeded(2)],
        "step": [seeded(1), seeded(0)],
    }
    monkeypatch.setattr(page, "verdicts", lambda each: found[each[0].trace])
    made = {
        name: [replace(r, trace=name) for r in results((10.0, 50.0), hpa=100.0, kpa=100.0)]
        for name in found
    }
    told = page.text(made, seeds=5)
    assert (
        "Of 6 comparisons ours wins 2, draws 2 and loses 2. Not at equal pod-hours, because the "
        "peer took more (starred), are 1 of the wins."
    ) in told
    assert "not at equal pod-hours**: no setting of the peer is as cheap as ours" in told


def test_the_table_for_people_names_every_algorithm() -> None:
    out = StringIO()
    console = Console(file=out, width=200)
    report.show({"bursts": results((10.0, 50.0), hpa=200.0, kpa=100.0)}, console)
    assert all(name in out.getvalue() for name in (OURS, HPA, KPA, "bursts"))


def test_medians_are_taken_field_by_field() -> None:
    tallies = [replace(NOTHING, late=late, pod_hours=5 - late) for late in (1.0, 2.0, 4.0)]
    assert (medians(tallies).late, medians(tallies).pod_hours) == (2.0, 3.0)


@pytest.mark.parametrize("name", page.TRACES)
def test_every_load_has_a_name_that_a_file_can_have(name: str) -> None:
    assert page.picture(name).suffix == ".png"
    assert " " not in page.picture(name).name
