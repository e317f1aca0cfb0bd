"""The part of the story in which the pods follow the load: a burst, its end, zero and back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from demo.load_pod import LoadPod
from demo.story import Done, Stage, deployment, patch_spec

MOST_PODS = 3
BURST_STREAMS = 24
_LONGER_THAN_THE_BLOCK = 3600
_LONG_PROMPTS = ("--prompt-tokens", "384", "--output-tokens", "32")
"""Work for the pods and little for the load generator, which has half a CPU: where it is the slower
one, requests are on their way to it and not at the pods, and the load is less than it seems."""


def let_load_decide(stage: Stage, fewest: int) -> dict[str, Any]:
    """Gives the object an `autoscaling` block; returns what was patched.

    Windows are short, so that a person can wait for them; the defaults are a minute for demand,
    five for scaling down and ten for idleness.
    """
    scaling: dict[str, Any] = {
        "minReplicas": fewest,
        "maxReplicas": MOST_PODS,
        "stableWindowSeconds": 6,
        "scaleDown": {"stabilizationWindowSeconds": 0},
        "scaleToZero": {"afterSeconds": 5} if fewest == 0 else None,
    }
    spec = {"autoscaling": scaling}
    patch_spec(stage, spec)
    return {"spec": spec}


def has_pods(wanted: int) -> Done:
    """Whether so many pods are wanted, serve, and no other one is left."""

    def done(found: dict[str, Any]) -> bool:
        status = found.get("status", {})
        counts = (status.get("autoscaling", {}).get("desiredReplicas"), status.get("replicas"))
        return counts == (wanted, wanted) and status.get("readyReplicas", 0) == wanted

    return done


@contextmanager
def burst(
    stage: Stage, note: Callable[[dict[str, Any]], None], streams: int = BURST_STREAMS
) -> Iterator[None]:
    """So many streams flow during the block, from the load generator.

    note: gets the report's totals when the last answer has ended. streams: what is more than slots
    and queue of the first pod is refused, with a hint when to come again.
    """
    pod = LoadPod(stage.kubectl, stage.namespace)
    pod.start(stage.images.runtime)
    shape = (*_LONG_PROMPTS, "--connections", "call")
    phase = f"closed:streams={streams},seconds={_LONGER_THAN_THE_BLOCK}"
    with pod.running(stage.target, "--phase", phase, *shape, "--timeout", "120") as run:
        yield
    note(run.events[-1]["total"])
    pod.remove()


def decisions(stage: Stage) -> list[str]:
    """Each change of the number of pods in a sentence, the oldest first, from the status."""
    history = deployment(stage)["status"].get("autoscaling", {}).get("history", [])
    return [f"{each['from']} -> {each['to']}  {each['message']}" for each in reversed(history)]
