from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llm_runtime.backend.base import CacheShape, StepInput, StepOutput
from llm_runtime.engine.batch import Batch, Load
from llm_runtime.engine.observer import Silent
from llm_runtime.engine.request import End, Ending, Request, Sampling, Stopping
from llm_runtime.engine.scheduler import Budget
from support.scripted_backend import ScriptedBackend

SHAPE = CacheShape(slots=3, context=64, chunk=8)
BUDGET = Budget(alone=8, mixed=4)
VOCABULARY = 97


@dataclass
class Sink:
    """Keeps what a client would see; takes at most `limit` tokens."""

    limit: int = 1000
    tokens: list[int] = field(default_factory=list)
    end: End | None = None

    def push(self, token: int) -> bool:
        assert self.end is None, "a token came after the end"
        if len(self.tokens) >= self.limit:
            return False
        self.tokens.append(token)
        return True

    def close(self, end: End) -> None:
        assert self.end is None, "the request ended twice"
        self.end = end


def new_batch(backend: ScriptedBackend | None = None) -> Batch[Sink]:
    return Batch(
        backend or ScriptedBackend(SHAPE, VOCABULARY), SHAPE, BUDGET, Silent(), lambda: 0.0
    )


def request(name: str, prompt: Sequence[int], **stopping: object) -> Request:
    values = {"max_new_tokens": 6} | stopping
    return Request(name, prompt, Stopping(**values))  # type: ignore[arg-type]


def run(batch: Batch[Sink]) -> None:
    for _ in range(1000):
        if batch.is_idle:
            return
        batch.step()
        batch.check_integrity()
    pytest.fail("the batch never became idle")


def solo(prompt: Sequence[int], **stopping: object) -> list[int]:
    batch, sink = new_batch(), Sink()
    batch.add(request("solo", prompt, **stopping), sink, 0.0)
    run(batch)
    return sink.tokens


def test_an_answer_ends_at_its_length() -> None:
    batch, sink = new_batch(), Sink()
    batch.add(request("a", [1, 2, 3], max_new_tokens=4), sink, 0.0)
    run(batch)
    assert (len(sink.tokens), sink.end) == (4, End(Ending.LENGTH))


def test_a_stop_token_ends_the_answer() -> None:
    expected = solo([1, 2, 3])
    batch, sink = new_batch(), Sink()
    batch.add(request("a", [1, 2, 3], stop_ids=frozenset({expected[2]})), sink, 0.0)
    run(batch)
    assert (sink.tokens, sink.end) == (expected[:3], End(Ending.STOP, stop_id=expected[2]))


def test_chunked_and_mixed_prompts_give_the_answers_of_solo_runs() -> None:
    prompts = [[index + step for step in range(5 + 7 * index)] for index in range(6)]
    batch, sinks = new_batch(), [Sink() for _ in prompts]
    for index, (prompt, sink) in enumerate(zip(prompts, sinks, strict=True)):
        batch.add(request(f"r{index}", prompt), sink, 0.0)
    run(batch)
    assert [sink.tokens for sink in sinks] == [solo(prompt) for prompt in prompts]


def test_a_prompt_and_a_decoding_sequence_share_a_step() -> None:
    backend = ScriptedBackend(SHAPE, VOCABULARY)
    batch = new_batch(backend)
    batch.add(request("first", [1, 2]), Sink(), 0.0)
    batch.step()
    batch.add(request("second", range(20)), Sink(), 0.0)
    batch.step()
    assert [len(row.tokens) for row in backend.steps[-1].rows] == [1, BUDGET.mixed]


def test_an_abort_frees_the_slot_at_once() -> None:
    batch, sink = new_batch(), Sink()
    batch.add(request("a", [1, 2, 3]), sink, 0.0)
    batch.step()
    batch.abort("a", End(Ending.CANCELLED))
    assert (batch.load, sink.end) == (Load(), End(Ending.CANCELLED))
    batch.check_integrity()


def test_an_aborted_slot_goes_to_the_next_request_with_the_next_step() -> None:
    batch = new_batch()
    for index in range(4):
        batch.add(request(f"r{index}", [1, 2, 3], max_new_tokens=50), Sink(), 0.0)
    batch.step()
    assert batch.load.waiting == 1
    batch.abort("r1", End(Ending.CANCELLED))
    batch.step()
    assert (batch.load.running, batch.load.waiting) == (3, 0)


def test_a_waiting_request_can_be_aborted() -> None:
    batch, sink = new_batch(), Sink()
    batch.add(request("a", [1]), sink, 0.0)
    batch.abort("a", End(Ending.DEADLINE))
    assert batch.is_idle
    assert sink.end == End(Ending.DEADLINE)


def test_aborting_what_is_not_there_does_nothing() -> None:
    batch = new_batch()
    batch.abort("nobody", End(Ending.CANCELLED))
    assert batch.is_idle


def test_a_reader_that_does_not_read_ends_only_its_own_request() -> None:
    batch, slow, quick = new_batch(), Sink(limit=2), Sink()
    batch.add(request("slow", [1, 2]), slow, 0.0)
    batch.add(request("quick", [3, 4]), quick, 0.0)
    run(batch)
    assert slow.end is not None
    assert slow.end.why is Ending.SLOW_CLIENT
    assert quick.tokens == solo([3, 4])


def test_logits_that_are_not_finite_end_only_their_own_request() -> None:
    class Poisoned(ScriptedBackend):
        def step(self, step: StepInput) -> StepOutput:
            output = super().step(step)
            output.logits[[row.slot for row in step.rows].index(0)] = np.nan
            return output

    batch, bad, good = new_batch(Poisoned(SHAPE, VOCABULARY)), Sink(), Sink()
    batch.add(request("bad", [1, 2]), bad, 0.0)
    batch.add(request("good", [3, 4]), good, 0.0)
    batch.step()
    assert bad.end is not None
    assert bad.end.why is Ending.FAILED
    assert good.end is None


def test_news_are_told_once() -> None:
    batch, sink = new_batch(), Sink()
    batch.add(request("a", [1]), sink, 0.0)
    batch.step()
    assert batch.take_news() == [sink]
    assert batch.take_news() == []


def test_load_counts_tokens_held_and_queued() -> None:
    batch = new_batch()
    for index in range(4):
        batch.add(request(f"r{index}", [1, 2]), Sink(), 0.0)
    batch.step()
    assert batch.load == Load(running=3, waiting=1, tokens_held=6, tokens_queued=2)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 20)), min_size=1, max_size=10))
def test_sampled_answers_do_not_depend_on_who_runs_beside(sizes: list[tuple[int, int]]) -> None:
    def ask(index: int) -> Request:
        prompt, answer = sizes[index]
        sampling = Sampling(temperature=2.0, seed=index)
        return Request(f"r{index}", range(prompt), Stopping(answer), sampling)

    together, alone = [Sink() for _ in sizes], [Sink() for _ in sizes]
    batch = new_batch()
    for index, sink in enumerate(together):
        batch.add(ask(index), sink, 0.0)
    run(batch)
    for index, sink in enumerate(alone):
        single = new_batch()
        single.add(ask(index), sink, 0.0)
        run(single)
    assert [sink.tokens for sink in together] == [sink.tokens for sink in alone]


class AnyOrderOfEvents(RuleBasedStateMachine):
    """Nothing leaks in any order of events, and every finished answer is the solo one."""

    def __init__(self) -> None:
        super().__init__()
        self.batch = new_batch()
        self.asked: dict[str, tuple[list[int], Sink]] = {}

    @rule(prompt=st.lists(st.integers(0, 96), min_size=1, max_size=20), answer=st.integers(1, 8))
    def submit(self, prompt: list[int], answer: int) -> None:
        name = f"r{len(self.asked)}"
        self.asked[name] = (prompt, Sink())
        self.batch.add(request(name, prompt, max_new_tokens=answer), self.asked[name][1], 0.0)

    @precondition(lambda self: not self.batch.is_idle)
    @rule()
    def step(self) -> None:
        self.batch.step()

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.asked)))
        self.batch.abort(name, End(Ending.CANCELLED))

    @invariant()
    def slots_and_sequences_agree(self) -> None:
        self.batch.check_integrity()
        assert self.batch.load.running <= SHAPE.slots

    @invariant()
    def answers_are_those_of_solo_runs(self) -> None:
        for prompt, sink in self.asked.values():
            if sink.end == End(Ending.LENGTH):
                assert sink.tokens == solo(prompt, max_new_tokens=len(sink.tokens))

    def teardown(self) -> None:
        run(self.batch)
        assert all(sink.end is not None for _, sink in self.asked.values())


TestAnyOrderOfEvents = AnyOrderOfEvents.TestCase
TestAnyOrderOfEvents.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
