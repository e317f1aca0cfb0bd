"""How much of the ring an endpoint has under `PrefixAffinity`. Pure.

gRPC's ring hash knows no bounded load: a prompt that everybody begins with keeps its pod, however
long the queue there is. So an overloaded endpoint gets a smaller part of the ring, and part of the
prompts moves to its neighbours until it has caught up.
"""

WHOLE = 100
STEPS = ((2.0, 25), (1.0, 50))
"""From this utilization on, this weight; at 1 every slot of the pod is taken."""
RELIEVED = 0.7
"""An endpoint gets back what it had when it is below this part of what took it away: each change
moves prompts away from caches that know them."""


def weight(utilization: float | None, before: int) -> int:
    """The weight now; of an endpoint that tells nothing credible, the whole."""
    if utilization is None or not 0.0 < utilization < float("inf"):
        return WHOLE
    for limit, lowered in STEPS:
        if utilization >= limit or (before <= lowered and utilization >= RELIEVED * limit):
            return lowered
    return WHOLE
