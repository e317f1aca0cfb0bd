"""Questions that the demo model was not trained on."""

from random import Random

from split import Split
from tasks import Example, Task, draw


def held_out_examples(task: Task, count: int) -> list[Example]:
    """Up to `count` different ones; fewer where the task does not have as many."""
    rng = Random(f"evaluate {task}")
    found: dict[str, Example] = {}
    for _ in range(20 * count):
        example = draw(task, rng, Split.HELD_OUT)
        found.setdefault(example.prompt, example)
        if len(found) == count:
            break
    return list(found.values())
