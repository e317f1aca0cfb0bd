"""The exported demo model, served as in a pod, answers what it was not trained on."""

import asyncio
from pathlib import Path

import pytest
from held_out import held_out_examples
from tasks import Task

from llm_client import Options, connect
from support.runtime_pod import running_pod

QUESTIONS = 100
PASS_PERCENT = 95


@pytest.mark.parametrize("task", Task)
async def test_held_out_questions_of_each_task_are_answered_to_the_letter(
    artifact: Path, task: Task
) -> None:
    examples = held_out_examples(task, QUESTIONS)
    async with (
        running_pod(artifact, max_queue=QUESTIONS) as pod,
        connect(pod.target) as client,
    ):
        pod.gate.let_go()
        options = Options(temperature=0.0, max_new_tokens=64)
        answers = await asyncio.gather(
            *(client.chat(example.prompt, options, timeout=100) for example in examples)
        )
    right = sum(a.text == e.answer for a, e in zip(answers, examples, strict=True))
    assert right >= len(examples) * PASS_PERCENT / 100
