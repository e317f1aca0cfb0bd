"""Health and metrics over HTTP."""

from contextlib import AsyncExitStack

import aiohttp

from llm_operator.kube.request import Selection, get, list_page
from llm_operator.kube.resources import BY_KIND, POD
from llm_operator.telemetry import health
from llm_operator.telemetry.metrics import CONTENT_TYPE, Metrics, gauge


async def answer(port: int, path: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as response,
    ):
        return response.status, await response.text()


async def test_health_says_what_is_wrong() -> None:
    wrong = ""
    routes = {"/healthz": health.verdict(lambda: wrong)}
    async with health.serve(routes, 0) as port:
        assert await answer(port, "/healthz") == (200, "ok\n")
        wrong = "stuck watches: pods"
        assert await answer(port, "/healthz") == (503, "stuck watches: pods\n")
        assert (await answer(port, "/else"))[0] == 404


async def test_metrics_are_counted_by_closed_labels() -> None:
    metrics = Metrics()
    metrics.measure(lambda: [gauge("llm_operator_leader", "leads", 1.0)])
    metrics.note_request(get(BY_KIND["Service"], "n", "a"), "ok", 0.01)
    metrics.note_request(list_page(Selection(POD), limit=5), "ThrottledError", 0.01)
    async with AsyncExitStack() as stack:
        routes = {"/metrics": health.page(metrics.page, CONTENT_TYPE)}
        port = await stack.enter_async_context(health.serve(routes, 0))
        _, text = await answer(port, "/metrics")
    assert 'kube_request_seconds_count{kind="Service",outcome="ok",verb="get"} 1.0' in text
    assert 'kind="Pod",outcome="ThrottledError",verb="list"' in text
    assert "llm_operator_leader 1.0" in text


async def test_names_of_users_objects_are_no_labels() -> None:
    metrics = Metrics()
    for number in range(100):
        metrics.note_request(get(BY_KIND["Service"], "n", f"name-{number}"), "ok", 0.01)
    assert metrics.page().count(b"kube_request_seconds_count") == 1
