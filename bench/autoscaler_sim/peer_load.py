"""The load as the peers see it: the same tokens, in pods, of ready pods alone.

An HPA averages over the pods that it targets and Knative sums over the endpoints of a Service; a
pod that ends is in neither.
"""

from dataclasses import dataclass, replace

from llm_operator.api.llmdeployment import AutoscalingSpec
from llm_operator.autoscale.demand import Load, Profile, measure
from llm_operator.autoscale.knee import Knees
from llm_operator.autoscale.observation import Observation

_SPEC = AutoscalingSpec(max_replicas=1)


@dataclass(slots=True)
class PeerLoad:
    """Measures and remembers the lengths of requests."""

    profile: Profile = Profile()  # noqa: RUF009 (frozen)

    def of(self, observation: Observation) -> Load:
        """The load of the ready pods and of what is held."""
        ready = tuple(pod for pod in observation.pods if not pod.is_leaving)
        load = measure(replace(observation, pods=ready), self.profile, Knees(), _SPEC)
        self.profile = load.profile
        return load
