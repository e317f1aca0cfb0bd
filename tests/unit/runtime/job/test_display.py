"""Progress in a log: a line at the beginning, and one now and then."""

from llm_runtime.job.display import LineProgress
from llm_runtime.model.progress import Step


def test_lines_come_every_ten_seconds() -> None:
    lines: list[str] = []
    times = iter([0.0, 4.0, 10.0, 12.0, 20.0])
    progress = LineProgress(lines.append, clock=lambda: next(times))
    progress.begin(Step.FETCH, 4 << 20)
    for _ in range(4):
        progress.advance(1 << 20)
    assert lines == [
        "fetch: started, 4.0 MiB",
        "fetch: 2.0 MiB of 4.0 MiB, about 10 s left",
        "fetch: 4.0 MiB of 4.0 MiB, about 0 s left",
    ]


def test_an_unknown_size_is_not_invented() -> None:
    lines: list[str] = []
    times = iter([0.0, 11.0])
    progress = LineProgress(lines.append, clock=lambda: next(times))
    progress.begin(Step.PUSH, 0)
    progress.advance(1024)
    assert lines == ["push: started", "push: 1.0 KiB"]
