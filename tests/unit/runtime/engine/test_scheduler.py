from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.engine.scheduler import Budget, Running, StepPlan, Waiting, Work, schedule

BUDGET = Budget(alone=16, mixed=4)


def test_a_decoding_sequence_gets_its_token_in_every_step_beside_a_long_prompt() -> None:
    running = [Running(0, 1000, decoding=False), Running(1, 1, decoding=True)]
    plan = schedule(running, [], [], BUDGET)
    assert plan.work == (Work(0, 4), Work(1, 1))


def test_a_prompt_alone_gets_the_larger_budget() -> None:
    plan = schedule([Running(0, 1000, decoding=False)], [], [], BUDGET)
    assert plan.work == (Work(0, 16),)


def test_prompts_share_the_budget_in_the_order_of_their_admission() -> None:
    running = [Running(2, 10, decoding=False), Running(0, 10, decoding=False)]
    plan = schedule(running, [], [], BUDGET)
    assert plan.work == (Work(0, 6), Work(2, 10))


def test_waiting_requests_take_free_slots_in_the_order_of_their_arrival() -> None:
    waiting = [Waiting("first", 3), Waiting("second", 3), Waiting("third", 3)]
    plan = schedule([], waiting, [1, 4], BUDGET)
    assert [(item.id, item.slot) for item in plan.admissions] == [("first", 1), ("second", 4)]
    assert plan.work == (Work(1, 3), Work(4, 3))


def test_a_request_without_a_free_slot_waits() -> None:
    plan = schedule([Running(0, 1, decoding=True)], [Waiting("late", 3)], [], BUDGET)
    assert plan.admissions == ()


@dataclass
class Simulation:
    """Runs plans without a backend and notes what a backend or a client would suffer from."""

    slots: int
    budget: Budget
    waiting: list[tuple[str, int, int]]
    running: dict[int, list[int]] = field(
        default_factory=dict
    )  # slot -> [prompt left, answer left]
    admitted: list[str] = field(default_factory=list)

    def step(self) -> StepPlan:
        free = [slot for slot in range(self.slots) if slot not in self.running]
        plan = schedule(
            [
                Running(slot, left[0] or 1, decoding=not left[0])
                for slot, left in self.running.items()
            ],
            [Waiting(name, prompt) for name, prompt, _ in self.waiting],
            free,
            self.budget,
        )
        for admission in plan.admissions:
            name, prompt, answer = self.waiting.pop(0)
            assert (name, admission.slot not in self.running) == (admission.id, True)
            self.admitted.append(name)
            self.running[admission.slot] = [prompt, answer]
        for work in plan.work:
            self._apply(work)
        return plan

    def _apply(self, work: Work) -> None:
        left = self.running[work.slot]
        if left[0]:
            left[0] -= work.count
            assert left[0] >= 0
        if not left[0]:
            left[1] -= 1
        if left[1] <= 0:
            del self.running[work.slot]


loads = st.lists(
    st.tuples(st.integers(min_value=1, max_value=50), st.integers(min_value=1, max_value=9)),
    min_size=1,
    max_size=30,
)


@given(loads, st.integers(1, 5), st.integers(1, 8), st.integers(1, 32))
def test_every_request_is_served_in_order_within_the_budget_and_without_starving(
    load: list[tuple[int, int]], slots: int, mixed: int, alone: int
) -> None:
    names = [f"r{index}" for index in range(len(load))]
    waiting = [(name, *sizes) for name, sizes in zip(names, load, strict=True)]
    simulation = Simulation(slots, Budget(alone=alone, mixed=mixed), waiting)
    total = sum(prompt + answer for prompt, answer in load)
    for _ in range(total + 1):
        if not simulation.waiting and not simulation.running:
            break
        before = {slot: left[0] for slot, left in simulation.running.items()}
        plan = simulation.step()
        decodes = {slot for slot, left in before.items() if left == 0}
        prompt_tokens = sum(work.count for work in plan.work if work.slot not in decodes)
        assert decodes <= {work.slot for work in plan.work}
        assert prompt_tokens <= (mixed if decodes else alone)
        assert plan.work
        assert len({work.slot for work in plan.work}) == len(plan.work) <= slots
    assert simulation.admitted == names
    assert not simulation.running


def test_the_plan_is_ordered_by_slot_as_the_backend_wants_it() -> None:
    running = [Running(3, 1, decoding=True), Running(1, 5, decoding=False)]
    slots = [work.slot for work in schedule(running, [Waiting("x", 2)], [0], BUDGET).work]
    assert slots == sorted(slots)


@pytest.mark.parametrize("free", [[], [0]])
def test_nothing_to_do_gives_an_empty_plan(free: list[int]) -> None:
    assert schedule([], [], free, BUDGET) == StepPlan((), ())
