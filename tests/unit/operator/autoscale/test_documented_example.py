"""The example in docs/autoscaling.md is what `decide` says."""

import re
from pathlib import Path

from llm_operator.autoscale.decide import Decision
from support.fleet import Course, autoscaling, spread

PAGE = Path(__file__).resolve().parents[4] / "docs" / "autoscaling.md"


def of_a_burst() -> Decision:
    """One pod of four slots runs two requests; then there are eleven, and three seconds pass."""
    course = Course(autoscaling(maxReplicas=8), 1)
    course.stay(spread(2, 1), 400, step=5)
    for _ in range(3):
        decision = course.look(spread(11, 1), pending=course.current - 1)
    return decision


def spoken(name: str) -> str:
    """A field as `kubectl describe` writes it: tokensPerPod becomes Tokens Per Pod."""
    return re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", name[:1].upper() + name[1:])


def test_the_example_is_what_decide_says() -> None:
    decision = of_a_burst()
    block = PAGE.read_text().split("```\nAutoscaling:\n")[1].split("```")[0]
    told = dict(line.strip().split(":", 1) for line in block.splitlines())
    told = {name: value.strip() for name, value in told.items()}
    assert told.pop("Inputs") == ""
    assert told.pop("Desired Replicas") == str(decision.desired)
    assert told.pop("Reason") == decision.reason
    assert told.pop("Message") == decision.message
    assert told == {spoken(name): value for name, value in decision.inputs.items()}
