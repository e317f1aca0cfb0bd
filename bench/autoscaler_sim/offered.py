"""The load that clients offer, in pods, whoever scales. Pure."""

import itertools
from collections.abc import Iterable, Sequence

from bench.autoscaler_sim.pod import (
    PROMPT_TOKENS_PER_SECOND,
    SLOTS,
    STEP_BASE_SECONDS,
    STEP_EACH_SECONDS,
)
from bench.autoscaler_sim.request import Request

FULL_STEP_SECONDS = STEP_BASE_SECONDS + STEP_EACH_SECONDS * SLOTS


def service_seconds(request: Request) -> float:
    """How long the request holds a slot of a full pod."""
    return request.prompt / PROMPT_TOKENS_PER_SECOND + request.output * FULL_STEP_SECONDS


def offered(requests: Iterable[Request], moments: Sequence[float]) -> list[float]:
    """Pods that the requests would fill on average between the moments if none had to wait."""
    changes = sorted(
        change for r in requests for change in ((r.at, 1), (r.at + service_seconds(r), -1))
    )
    areas, area, busy, at = [0.0], 0.0, 0, moments[0]
    steps = iter(changes)
    pending = next(steps, None)
    for moment in moments[1:]:
        while pending is not None and pending[0] <= moment:
            area += busy * max(0.0, pending[0] - at)
            at, busy = max(at, pending[0]), busy + pending[1]
            pending = next(steps, None)
        area += busy * (moment - at)
        at = moment
        areas.append(area)
    spans = zip(itertools.pairwise(areas), itertools.pairwise(moments), strict=True)
    return [(b - a) / (until - since) / SLOTS for (a, b), (since, until) in spans]
