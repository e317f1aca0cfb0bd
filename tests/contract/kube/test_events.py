"""Events: told once, repeats as a series, and never the reason for a failed run."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import kmock as km
import pytest

from llm_operator.kube.client import KubeClient
from llm_operator.kube.events import EventRecorder, News

from .test_client import an_api

pytestmark = pytest.mark.kmock(cls=km.RawHandler)

PATH = "/apis/events.k8s.io/v1/namespaces/n/events"
ABOUT = {
    "apiVersion": "llm-operator.dev/v1alpha1",
    "kind": "LLMDeployment",
    "metadata": {"name": "llama", "namespace": "n", "uid": "u-1"},
}
FAILED = News("Warning", "ExportFailed", "no space", "Export")


class Clock:
    now = datetime(2027, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def wait(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
async def recorder(kmock: km.RawHandler) -> AsyncIterator[EventRecorder]:
    client = KubeClient(an_api(str(kmock.url)))
    yield EventRecorder(client, "operator-0", Clock())
    await client.aclose()


async def test_an_event_names_its_object_and_who_tells(
    kmock: km.RawHandler, recorder: EventRecorder
) -> None:
    kmock[f"post {PATH}"] << {}
    await recorder.tell(ABOUT, FAILED)
    sent = kmock["post"][0].data
    assert sent["regarding"]["uid"] == "u-1"
    assert (sent["type"], sent["reason"], sent["note"]) == ("Warning", "ExportFailed", "no space")
    assert sent["eventTime"] == "2027-01-01T00:00:00.000000Z"
    assert sent["reportingController"] == "llm-operator.dev/operator"
    assert sent["reportingInstance"] == "operator-0"


async def test_a_repeat_within_minutes_joins_the_series(
    kmock: km.RawHandler, recorder: EventRecorder
) -> None:
    kmock[f"post {PATH}"] << {}
    kmock["patch"] << {}
    for _ in range(3):
        await recorder.tell(ABOUT, FAILED)
    assert len(kmock["post"]) == 1
    assert [request.data["series"]["count"] for request in kmock["patch"]] == [2, 3]


async def test_a_repeat_after_a_long_time_is_news_again(
    kmock: km.RawHandler, recorder: EventRecorder
) -> None:
    kmock[f"post {PATH}"] << {}
    await recorder.tell(ABOUT, FAILED)
    assert isinstance(recorder.clock, Clock)
    recorder.clock.wait(minutes=7)
    await recorder.tell(ABOUT, FAILED)
    names = {request.data["metadata"]["name"] for request in kmock["post"]}
    assert len(names) == 2


async def test_a_series_whose_event_has_expired_begins_anew(
    kmock: km.RawHandler, recorder: EventRecorder
) -> None:
    kmock[f"post {PATH}"] << {}
    kmock["patch"] << 404 << {"reason": "NotFound"}
    await recorder.tell(ABOUT, FAILED)
    await recorder.tell(ABOUT, FAILED)
    assert len(kmock["post"]) == 2


@pytest.mark.parametrize("status", [403, 409, 422, 500])
async def test_an_event_that_is_refused_harms_nobody(
    kmock: km.RawHandler, recorder: EventRecorder, status: int
) -> None:
    kmock[f"post {PATH}"] << status << {"reason": "No"}
    await recorder.tell(ABOUT, FAILED)
    assert len(kmock["post"]) == 1


async def test_a_long_text_is_cut_to_what_the_server_takes(
    kmock: km.RawHandler, recorder: EventRecorder
) -> None:
    kmock[f"post {PATH}"] << {}
    await recorder.tell(ABOUT, FAILED._replace(note="x" * 5000))
    assert len(kmock["post"][0].data["note"]) == 1024
