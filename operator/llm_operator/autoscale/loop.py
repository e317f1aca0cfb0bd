"""Asks `decide` when there is news or when time alone may change the answer, and wakes the
reconcile of an LLMDeployment whose number of pods should be another one.

What is remembered between two decisions lives here, in the leader's memory, and goes with it: the
next leader starts from `Memory.after_restart`, which never scales down on what it has not seen.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from llm_operator.api.llmdeployment import AutoscalingSpec
from llm_operator.autoscale.decide import decide, see
from llm_operator.autoscale.decision import Decision
from llm_operator.autoscale.memory import Memory
from llm_operator.autoscale.observation import Limits, Observation
from llm_operator.autoscale.reading import Heard, Standing, awaited_uids, observation
from llm_operator.autoscale.signals import FIRST_WORD_SECONDS, PodLoad
from llm_operator.control.loads import Held, Loads
from llm_operator.kube.store import Key
from llm_operator.reconcile.world import Manifest

BREATH_SECONDS = 0.2
"""Messages of many pods that come together make one decision."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is scaled, as its last reconcile saw it."""

    spec: AutoscalingSpec
    limits: Limits
    standing: Standing


@dataclass(slots=True)
class _Course:
    """One LLMDeployment's way through time."""

    subject: Subject
    memory: Memory
    decision: Decision
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True, kw_only=True)
class Autoscaler:
    """The autoscalers of all LLMDeployments. Not thread-safe: one event loop.

    `now` gives seconds since the epoch; `wake` wants a reconcile.
    """

    loads: Loads
    held: Held
    runtime_pods: Callable[[Key], Iterable[Manifest]]
    wake: Callable[[Key], None]
    now: Callable[[], float]
    _courses: dict[Key, _Course] = field(default_factory=dict)

    def decide(self, key: Key, subject: Subject) -> Decision:
        """The decision of this moment, on what a reconcile has just read."""
        course, standing = self._courses.get(key), subject.standing
        memory = (
            course.memory
            if course
            else Memory.after_restart(
                standing.current, self.now(), standing.reason, standing.message
            )
        )
        decision, _ = self._ask(key, subject, memory)
        if course is None:
            course = self._courses[key] = _Course(subject, decision.memory, decision)
        course.subject, course.memory, course.decision = subject, decision.memory, decision
        self._look_again(key, course, decision.look_again)
        return decision

    def forget(self, key: Key) -> None:
        """The LLMDeployment is gone, or scales itself no more."""
        course = self._courses.pop(key, None)
        if course is not None and course.timer is not None:
            course.timer.cancel()

    def reset(self) -> None:
        """Another process leads."""
        for key in tuple(self._courses):
            self.forget(key)

    def heard(self, key: Key, before: PodLoad | None, after: PodLoad | None) -> None:
        """A pod said something. A repetition is no news: what time changes has its own timer."""
        if _state(before) != _state(after):
            self.wake(key)  # a drain has moved, whoever scales
        course = self._courses.get(key)
        if course is not None and before != after:
            self._look_again(key, course, BREATH_SECONDS)

    def held_changed(self, key: Key) -> None:
        """An activator holds more or fewer calls: at zero every moment counts."""
        course = self._courses.get(key)
        if course is not None:
            self._look_again(key, course, 0.0)

    def _ask(self, key: Key, subject: Subject, memory: Memory) -> tuple[Decision, Observation]:
        now, runtime_pods = self.now(), tuple(self.runtime_pods(key))
        loads = self.loads
        heard = Heard(loads.of(key), loads.ages(key), loads.silences(key), self.held.of(key))
        seen = observation(subject.standing, runtime_pods, heard, now)
        decision = decide(seen, memory, subject.spec, subject.limits)
        if awaited_uids(runtime_pods, heard.silences, now):
            # Nothing tells when a first word is overdue.
            look_again = min(decision.look_again or FIRST_WORD_SECONDS, FIRST_WORD_SECONDS)
            decision = replace(decision, look_again=look_again)
        return decision, seen

    def _look_again(self, key: Key, course: _Course, seconds: float | None) -> None:
        """Not later than a look that is due already, unless that one is replaced by a decision."""
        loop = asyncio.get_running_loop()
        if seconds is None:
            return
        due = loop.time() + seconds
        if course.timer is not None and not course.timer.cancelled():
            if course.timer.when() <= due:  # also one that is overdue: its turn comes
                return
            course.timer.cancel()
        course.timer = loop.call_at(due, self._look, key)

    def _look(self, key: Key) -> None:
        course = self._courses.get(key)
        if course is None:
            return
        course.timer = None
        decision, seen = self._ask(key, course.subject, course.memory)
        if _outcome(decision) == _outcome(course.decision):
            course.memory = decision.memory
        else:
            # The reconcile decides, from what it finds: nobody has acted on this decision.
            course.memory = see(seen, course.memory, course.subject.spec)
            self.wake(key)
        self._look_again(key, course, decision.look_again)


def _state(load: PodLoad | None) -> str | None:
    return load.state if load is not None else None


def _outcome(decision: Decision) -> tuple[object, ...]:
    """What is told of a decision; the rest may move without anybody being woken."""
    return decision.desired, decision.reason, decision.message
