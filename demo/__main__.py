"""`make demo`: shows the product to a person, step by step, on a real cluster."""

import os
import time
from typing import Any

import yaml
from rich.console import Console
from rich.panel import Panel

from demo import autoscaling, canary, story
from demo.autoscaling import MOST_PODS
from demo.target import existing_registry, prepare

NEXT = """\
[bold]Try next[/bold]
  kubectl get llmd -A -o wide           the whole picture
  kubectl describe llmd demo -n demo    conditions and events
  kubectl exec -it -n demo client -- llm-runtime chat demo.demo.svc:50051
                                        talk to the model
  kubectl delete llmd demo -n demo      everything of it goes
"""
LAST = """\
  make demo-down                        the cluster goes too, all of it
[dim]kubectl, helm and grpcurl on this cluster: eval "$(make -s cluster-env)"[/dim]"""
LAST_ELSEWHERE = """\
  make demo-down                        what the demo made here goes"""


class Narrator:
    """Says what happens, and when, counted from the start of the story."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        """Begins a step."""
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        self.console.print(f"\n[dim]{minutes}:{seconds:02}[/dim] [bold cyan]{text}[/bold cyan]")

    def show(self, line: str) -> None:
        """Shows one line that a command printed."""
        self.console.print(
            f"     [dim]{line}[/dim]", highlight=False, overflow="ignore", crop=False
        )

    def stream(self, text: str) -> None:
        """Shows a part of an answer; later lines stand below the first."""
        self.console.print(
            text.replace("\n", "\n       "), style="yellow", end="", highlight=False, markup=False
        )


def main() -> None:
    """Plays the story; ends with an error when a step fails."""
    narrator = Narrator(Console(highlight=False, soft_wrap=True))
    narrator.say("A real Kubernetes: API server, two nodes with kubelet and containerd")
    stage = prepare()
    _install(narrator, stage)
    _serve(narrator, stage)
    _answer(narrator, stage)
    _scale(narrator, stage)
    _roll_out(narrator, stage)
    _give_a_tenth(narrator, stage)
    _follow_load(narrator, stage)
    _go_to_zero(narrator, stage)
    narrator.show(stage.kubectl("get", "llmd", "-n", stage.namespace).splitlines()[-1])
    last = LAST_ELSEWHERE if existing_registry(os.environ) else LAST
    narrator.console.print(Panel(NEXT + last, expand=False, width=92))


def _install(narrator: Narrator, stage: story.Stage) -> None:
    narrator.say("helm install: the operator, and a registry for exported models")
    try:
        version = story.install(stage)
    except story.NotOursError as error:
        raise SystemExit(str(error)) from None
    narrator.show(f"installed {version} in namespace {story.SYSTEM_NAMESPACE}")
    narrator.say(
        "A model hub of our own, which speaks the Hugging Face hub's protocol, and a client's pod"
    )
    story.serve_hub(stage)
    narrator.show("pods hub and client are ready in namespace demo")


def _serve(narrator: Narrator, stage: story.Stage) -> None:
    narrator.say("kubectl apply: six lines")
    story.remove(stage)
    for line in story.apply_minimal(stage).splitlines():
        narrator.console.print(f"     {line}", style="magenta", markup=False)
    narrator.say("kubectl get llmd -w: download, export to ONNX, verify, push, start")
    took = story.watch_until(stage, story.is_ready, narrator.show, 180)
    narrator.show(f"Ready after {took:.1f} s")


def _answer(narrator: Narrator, stage: story.Stage) -> None:
    narrator.say(f"Four questions from a pod inside the cluster to {stage.target}, streamed")
    wrong = [task for task, *rest in story.QUESTIONS if not _ask(narrator, stage, task, *rest)]
    if wrong:
        raise SystemExit(f"wrong answers: {', '.join(wrong)}")


def _ask(narrator: Narrator, stage: story.Stage, task: str, question: str, expected: str) -> bool:
    """Asks one question before the reader's eyes; whether the answer is exact."""
    narrator.console.print(f"     [bold]{task}[/bold]  {question}", highlight=False)
    narrator.console.print("       ", end="")
    answer = story.ask(stage, question, narrator.stream)
    is_exact = answer.text == expected
    mark = "[green]exact[/green]" if is_exact else f"[red]expected {expected!r}[/red]"
    narrator.console.print(f"{mark} [dim]{answer.seconds:.1f} s with kubectl exec[/dim]")
    return is_exact


def _scale(narrator: Narrator, stage: story.Stage) -> None:
    narrator.say("kubectl scale --replicas=2: a second pod, from the artifact in the registry")
    story.scale(stage, 2)
    story.watch_until(stage, story.is_scaled(2), narrator.show, 90)
    narrator.show(f"pods serve on {', '.join(story.serving_nodes(stage))}")


def _roll_out(narrator: Narrator, stage: story.Stage) -> None:
    narrator.say(
        "A spec change while requests flow: the new revision takes over when it is available"
    )
    flow = story.FlowingRequests(stage, 240)
    before = story.change_spec(stage)
    took = story.watch_until(stage, story.rolled_out(before), narrator.show, 180)
    story.wait_until_gone(stage, before)
    counted = flow.stop()
    narrator.show(f"Rolled out in {took:.1f} s, and the last old pod has drained")
    _show_counts(narrator, counted.answered, counted.failed, counted.errors)


def _give_a_tenth(narrator: Narrator, stage: story.Stage) -> None:
    narrator.say(
        f"strategy: Canary. The next revision gets {canary.PERCENT} % of the calls, exactly"
    )
    old = canary.begin(stage)
    _show_patch(narrator, {"spec": {"rollout": {"strategy": "Canary", "steps": canary.STEPS}}})
    story.watch_until(stage, canary.is_paused(), narrator.show, 120)
    narrator.say(
        f"{canary.CALLS} calls of a plain Python client, target xds:///{stage.name}.{stage.namespace}"
    )
    for pod, calls in sorted(canary.count_pods(stage).items()):
        which = "stable" if f"-{old}-" in pod else "canary"
        narrator.console.print(f"     {calls:4} {pod}  [dim]{which}[/dim]")
    narrator.say("Promoted: it gets every call, and then the old pods go")
    narrator.show(f"kubectl annotate llmd {stage.name} {canary.ACTION}={canary.promote(stage)}")
    story.watch_until(stage, canary.is_complete, narrator.show, 120)


def _follow_load(narrator: Narrator, stage: story.Stage) -> None:
    narrator.say(f"An autoscaling block: from now on the load decides, 1 to {MOST_PODS} pods")
    _show_patch(narrator, autoscaling.let_load_decide(stage, 1))
    story.watch_until(stage, autoscaling.has_pods(1), narrator.show, 120)
    narrator.say(
        f"A burst of {autoscaling.BURST_STREAMS} streams from a load generator in the cluster"
    )
    totals: dict[str, Any] = {}
    with autoscaling.burst(stage, totals.update):
        took = story.watch_until(stage, autoscaling.has_pods(MOST_PODS), narrator.show, 120)
        narrator.show(f"{MOST_PODS} pods serve after {took:.1f} s; the burst ends")
    story.watch_until(stage, autoscaling.has_pods(1), narrator.show, 120)
    _show_counts(
        narrator, totals["answered"], totals["sent"] - totals["answered"], totals["errors"]
    )


def _go_to_zero(narrator: Narrator, stage: story.Stage) -> None:
    narrator.say(
        "minReplicas: 0. Nobody asks, so the last pod goes; the activator answers the door"
    )
    _show_patch(narrator, autoscaling.let_load_decide(stage, 0))
    story.watch_until(stage, autoscaling.has_pods(0), narrator.show, 120)
    narrator.say("A question to nobody: it is held while a pod starts, and answered")
    if not _ask(narrator, stage, *story.QUESTIONS[0]):
        raise SystemExit("wrong answer from zero")
    narrator.say("Why it scaled, from status.autoscaling.history")
    for line in autoscaling.decisions(stage):
        narrator.show(line)


def _show_patch(narrator: Narrator, patch: dict[str, Any]) -> None:
    for line in yaml.safe_dump(patch, sort_keys=False).splitlines():
        narrator.console.print(f"     {line}", style="magenta", markup=False)


def _show_counts(narrator: Narrator, answered: int, failed: int, errors: dict[str, int]) -> None:
    colour = "green" if failed == 0 and answered else "red"
    narrator.console.print(
        f"     [{colour}]{answered} requests answered, {failed} failed[/{colour}]"
    )
    if colour == "red":
        raise SystemExit(f"requests failed: {errors}")


if __name__ == "__main__":
    main()
