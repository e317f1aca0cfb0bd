"""The part of the story in which a new revision gets a tenth of the calls, and then all of them."""

import json
from pathlib import Path
from typing import Any

from demo.kubectl import CommandError
from demo.story import Done, Stage, change_spec, deployment, is_ready, patch_spec, watch_until

PERCENT = 10
CALLS = 400
STEPS: list[dict[str, Any]] = [{"setWeight": PERCENT}, {"pause": {}}]
ACTION = "llm-operator.dev/rollout-action"
_CLIENT = Path(__file__).resolve().parent / "count_pods.py"


def begin(stage: Stage, steps: list[dict[str, Any]] | None = None) -> str:
    """Asks for canaries from now on and makes one; returns the revision before."""
    patch_spec(stage, {"rollout": {"strategy": "Canary", "steps": steps or STEPS}})
    return change_spec(stage)


def is_paused(percent: int = PERCENT, *, verified: bool = True) -> Done:
    """Whether a canary with that share waits for somebody. verified: and its share is true."""

    def done(found: dict[str, Any]) -> bool:
        rollout = found["status"].get("rollout", {})
        weights = rollout.get("weights", {})
        current = found["status"].get("observedGeneration") == found["metadata"]["generation"]
        told = (rollout.get("phase"), weights.get("canaryPercent"))
        is_true = weights.get("verified") or not verified
        return current and is_true and told == ("Paused", percent)

    return done


def is_complete(found: dict[str, Any]) -> bool:
    """Whether the new revision has replaced the old one."""
    rollout = found["status"].get("rollout", {})
    return rollout.get("phase") == "Complete" and "weights" not in rollout and is_ready(found)


def is_taken_back(found: dict[str, Any]) -> bool:
    """Whether the new revision was given up and the old one has every call."""
    rollout = found["status"].get("rollout", {})
    told = (rollout.get("phase"), rollout.get("weights", {}).get("canaryPercent"))
    return told == ("RolledBack", 0) and found["status"]["readyReplicas"] > 0


def promote(stage: Stage) -> str:
    """Lets the current revision take its next step; returns the command."""
    return say(stage, "promote")


def say(stage: Stage, what: str) -> str:
    """Gives the command for the current revision anew; returns it."""
    revision = deployment(stage)["status"]["currentRevision"]
    command = f"{what}@{revision}"
    place = ("-n", stage.namespace, f"llmd/{stage.name}")
    stage.kubectl("annotate", *place, f"{ACTION}-")
    watch_until(stage, _has_forgotten, lambda _: None, 30)  # or it would not be one of its own
    stage.kubectl("annotate", "--overwrite", *place, f"{ACTION}={command}")
    return command


def _has_forgotten(found: dict[str, Any]) -> bool:
    return "lastAction" not in found["status"].get("rollout", {})


def count_pods(stage: Stage, calls: int = CALLS) -> dict[str, int]:
    """Which pods answer so many calls of an unmodified gRPC client over xds:///NAME.NAMESPACE."""
    found = stage.kubectl(
        "exec", "-i", "-n", stage.namespace, "client", "--",
        "python", "-", f"xds:///{stage.name}.{stage.namespace}", str(calls),
        stdin=_CLIENT.read_text(),
    )  # fmt: skip
    if not found.strip():
        raise CommandError("the client told nothing")
    counts: dict[str, int] = json.loads(found)
    return counts
