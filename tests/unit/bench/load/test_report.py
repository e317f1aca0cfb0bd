import json

import pytest
from bench.load import table
from bench.load.course import Course, End, Fate
from bench.load.phases import Closed, Pause
from bench.load.report import report
from bench.load.tally import Tally


def one_failure() -> Tally:
    tally = Tally(began=0.0)
    course = Course(wanted=1, due=0.0, sent=0.0)
    tally.begin(course, 4)
    tally.end(course, End(Fate.FAILED, "UNAVAILABLE"), 2.0)
    return tally


def test_a_report_holds_the_total_and_the_phases_that_began() -> None:
    tallies = [one_failure(), Tally()]
    found = json.loads(json.dumps(report((Closed(1, 2.0),), tallies, tallies[0], 0.5)))
    assert [phase["phase"] for phase in found["phases"]] == ["closed:streams=1,seconds=2"]
    assert found["phases"][0]["errors"] == {"UNAVAILABLE": 1}
    assert found["total"]["failed"] == 1
    assert found["generator"]["cpu_milliseconds_per_request"] == 500


def test_the_table_tells_every_phase_and_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    tally = one_failure()
    table.show(report((Closed(1, 2.0), Pause(1.0)), [tally, Tally()], tally, 0.5))
    shown = capsys.readouterr().out
    assert "1 (UNAVAILABLE 1)" in shown.replace("\n", " ")
    assert "500.00 ms a request" in shown
