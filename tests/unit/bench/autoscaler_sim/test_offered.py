import pytest
from bench.autoscaler_sim.offered import offered, service_seconds
from bench.autoscaler_sim.pod import SLOTS
from bench.autoscaler_sim.request import Request


def test_a_request_is_offered_for_as_long_as_it_would_take() -> None:
    request = Request(at=1.0, prompt=400, output=100)
    assert service_seconds(request) == pytest.approx(0.1 + 100 * 0.032)
    loads = offered([request], [0.0, 2.0, 4.0, 6.0])
    assert [SLOTS * load for load in loads] == pytest.approx([0.5, 1.0, 0.15])


def test_as_many_requests_as_slots_fill_one_pod() -> None:
    requests = [Request(at=0.0, prompt=400, output=1000) for _ in range(SLOTS)]
    assert offered(requests, [0.0, 5.0, 10.0]) == pytest.approx([1.0, 1.0])
