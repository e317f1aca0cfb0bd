"""Counts and latencies of a phase, or of a whole run. Pure; the clock is the caller's."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bench.load.course import NO_OBJECTIVE, Course, End, Fate, Objective
from bench.load.histogram import Histogram


@dataclass(slots=True)
class Tally:
    """What came back so far.

    sent is the sum of all fates and of what is under way. unsent: arrivals for which the limit of
    requests under way left no room. cut: answers that began and broke off. short: whole answers
    with fewer tokens than asked for. began, ended: seconds of one clock; a request belongs to the
    phase that sent it, so a phase ends with its last request.
    """

    objective: Objective = NO_OBJECTIVE
    began: float = 0.0
    ended: float = 0.0
    sent: int = 0
    unsent: int = 0
    fates: Counter[Fate] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    short: int = 0
    prompt_tokens: int = 0
    tokens: int = 0
    good: int = 0
    good_tokens: int = 0
    first_token: Histogram = field(default_factory=Histogram)
    inter_token: Histogram = field(default_factory=Histogram)
    whole_answer: Histogram = field(default_factory=Histogram)
    lateness: Histogram = field(default_factory=Histogram)

    @property
    def under_way(self) -> int:
        """Requests that have no fate yet."""
        return self.sent - self.fates.total()

    @property
    def seconds(self) -> float:
        """From the phase's start to the end of its last request."""
        return max(0.0, self.ended - self.began)

    def begin(self, course: Course, prompt_tokens: int) -> None:
        """A request is sent."""
        self.sent += 1
        self.prompt_tokens += prompt_tokens
        self.lateness.add(course.sent - course.due)

    def grow(self, course: Course, count: int, now: float) -> None:
        """Tokens of an answer came."""
        gap = course.grow(count, now)
        self.tokens += count
        if gap:
            self.inter_token.add(gap, count)
        elif course.tokens == count:
            self.first_token.add(course.first_token_seconds)

    def end(self, course: Course, end: End, now: float) -> None:
        """A request has met its fate."""
        self.ended = max(self.ended, now)
        self.fates[end.fate] += 1
        if end.fate is Fate.FAILED:
            self.errors[end.code] += 1
        if end.fate is Fate.ABORTED or (end.fate is Fate.FAILED and course.tokens):
            self.cut += 1
        if end.fate is Fate.ANSWERED:
            self._answered(course, now)

    def merge(self, other: "Tally") -> None:
        """Takes the other's counts in; the span becomes that of both."""
        self.began = min(self.began, other.began) if self.sent or self.ended else other.began
        self.ended = max(self.ended, other.ended)
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _HISTOGRAMS:
            getattr(self, name).merge(getattr(other, name))
        self.fates.update(other.fates)
        self.errors.update(other.errors)

    def counts(self) -> dict[str, Any]:
        """What a line of progress tells."""
        fates = {str(fate): self.fates[fate] for fate in Fate}
        return {
            "sent": self.sent,
            "under_way": self.under_way,
            **fates,
            "unsent": self.unsent,
            "errors": dict(sorted(self.errors.items())),
            "tokens": self.tokens,
        }

    def summary(self) -> dict[str, Any]:
        """All of it: counts, rates a second, and latencies in seconds."""
        return {
            "seconds": round(self.seconds, 6),
            **self.counts(),
            "prompt_tokens": self.prompt_tokens,
            "cut": self.cut,
            "short": self.short,
            "good": self.good,
            "requests_per_second": self._rate(self.fates[Fate.ANSWERED]),
            "tokens_per_second": self._rate(self.tokens),
            "good_requests_per_second": self._rate(self.good),
            "good_tokens_per_second": self._rate(self.good_tokens),
            **{f"{name}_seconds": getattr(self, name).summary() for name in _HISTOGRAMS},
        }

    def _rate(self, count: int) -> float:
        return round(count / self.seconds, 3) if self.seconds else 0.0

    def _answered(self, course: Course, now: float) -> None:
        self.whole_answer.add(now - course.due)
        self.short += course.tokens < course.wanted
        if course.is_good(self.objective):
            self.good += 1
            self.good_tokens += course.tokens


_SUMS = (
    "sent", "unsent", "cut", "short", "prompt_tokens", "tokens", "good", "good_tokens",
)  # fmt: skip
_HISTOGRAMS = ("first_token", "inter_token", "whole_answer", "lateness")
