import pytest

from llm_runtime.backend.base import BackendError, CacheShape, StepInput, StepRow
from support.scripted_backend import ScriptedBackend

SHAPE = CacheShape(slots=2, context=8, chunk=4)


def step(backend: ScriptedBackend, *rows: StepRow) -> list[int]:
    return [int(row.argmax()) for row in backend.step(StepInput(rows)).logits]


def test_a_token_depends_on_the_whole_sequence() -> None:
    one, two = ScriptedBackend(SHAPE, 97), ScriptedBackend(SHAPE, 97)
    step(one, StepRow(0, 0, [1, 2]))
    step(two, StepRow(0, 0, [9, 2]))
    assert step(one, StepRow(0, 2, [3])) != step(two, StepRow(0, 2, [3]))


def test_chunks_add_up() -> None:
    whole, parts = ScriptedBackend(SHAPE, 97), ScriptedBackend(SHAPE, 97)
    step(parts, StepRow(1, 0, [1, 2], wants_logits=False))
    assert step(parts, StepRow(1, 2, [3, 4])) == step(whole, StepRow(0, 0, [1, 2, 3, 4]))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([StepRow(1, 0, [1]), StepRow(0, 0, [1])], "order"),
        ([StepRow(2, 0, [1])], "order"),
        ([StepRow(0, 3, [1])], "holds 0 tokens, not 3"),
        ([StepRow(0, 0, [1] * 5)], "5 tokens in one step"),
        ([], "order"),
    ],
)
def test_an_impossible_step_fails(rows: list[StepRow], message: str) -> None:
    with pytest.raises(BackendError, match=message):
        step(ScriptedBackend(SHAPE, 97), *rows)


def test_a_sequence_longer_than_the_context_fails() -> None:
    backend = ScriptedBackend(SHAPE, 97)
    step(backend, StepRow(0, 0, [1] * 4))
    step(backend, StepRow(0, 4, [1] * 4))
    with pytest.raises(BackendError, match="overflows"):
        step(backend, StepRow(0, 8, [1]))
