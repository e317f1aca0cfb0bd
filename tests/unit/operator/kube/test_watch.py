"""A watch survives whatever its stream does. Time is looptime's; the server is a script."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import pytest

from llm_operator.kube.client import KubeClient, Listing
from llm_operator.kube.errors import UnreachableError, WatchFailedError, answered
from llm_operator.kube.request import Request, Selection
from llm_operator.kube.resources import BY_KIND
from llm_operator.kube.store import Key, Store
from llm_operator.kube.watch import Pace, Watch

pytestmark = pytest.mark.looptime

OWNER = Key("n", "llama")
SILENCE = "silence"
LONG = "a minute passes"
END = "end"


def a_service(name: str, version: int) -> dict[str, Any]:
    labels = {"llm-operator.dev/deployment": "llama"}
    metadata = {"name": name, "namespace": "n", "uid": name, "labels": labels}
    return {"metadata": {**metadata, "resourceVersion": str(version)}}


def frame(kind: str, manifest: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": manifest}).encode() + b"\n"


def an_error(code: int) -> bytes:
    return frame("ERROR", {"kind": "Status", "code": code, "reason": "r", "message": "m"})


Step = bytes | str | Exception


@dataclass
class Script:
    """A server: lists, and streams made of frames, silence, ends and failures."""

    listings: list[Any]
    streams: list[list[Step]]
    lists: list[float] = field(default_factory=list)
    watches: list[tuple[float, str]] = field(default_factory=list)

    async def list(self, _what: Selection) -> Listing:
        self.lists.append(asyncio.get_running_loop().time())
        found = self.listings.pop(0) if len(self.listings) > 1 else self.listings[0]
        if isinstance(found, Exception):
            raise found
        return cast(Listing, found)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        since = dict(request.query)["resourceVersion"]
        self.watches.append((asyncio.get_running_loop().time(), since))
        steps = self.streams.pop(0) if self.streams else [SILENCE]
        if steps and isinstance(steps[0], Exception):
            raise steps[0]
        yield self._play(steps)

    async def _play(self, steps: Sequence[Step]) -> AsyncIterator[bytes]:
        for step in steps:
            if isinstance(step, Exception):
                raise step
            if step == SILENCE:
                await asyncio.sleep(10_000)
            elif step == LONG:
                await asyncio.sleep(60)
            elif isinstance(step, bytes):
                yield step


@dataclass
class Scene:
    script: Script
    store: Store = field(default_factory=Store)
    touched: list[Key] = field(default_factory=list)
    known: list[bool] = field(default_factory=list)
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        what = Selection(BY_KIND["Service"], "n", "a=b")
        client, pace = cast(KubeClient, self.script), Pace(draw=lambda: 0.0)
        self.watch = Watch(client, what, self.store, self.touched.append, pace)

    async def run(self, seconds: float) -> None:
        task = asyncio.create_task(self.watch.run())
        await asyncio.wait({task}, timeout=seconds)
        is_done = task.done()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert not is_done

    @property
    def names(self) -> list[str]:
        return [child["metadata"]["name"] for child in self.store.of(OWNER)]


def a_listing(*names: str, version: int = 10) -> Listing:
    return Listing(tuple(a_service(name, version) for name in names), str(version))


def a_scene(*streams: Sequence[Step], listings: list[Any] | None = None) -> Scene:
    return Scene(Script(listings or [a_listing("a")], [list(steps) for steps in streams]))


async def test_what_is_listed_is_in_the_store_and_told() -> None:
    scene = a_scene()
    await scene.run(1)
    assert scene.names == ["a"]
    assert scene.touched == [OWNER]
    assert scene.watch.synced.is_set()


async def test_changes_are_followed_from_the_version_of_the_list() -> None:
    scene = a_scene(
        [
            frame("ADDED", a_service("b", 11)),
            frame("MODIFIED", {**a_service("a", 12), "spec": {"type": "ClusterIP"}}),
            frame("DELETED", a_service("b", 13)),
            SILENCE,
        ]
    )
    await scene.run(1)
    assert scene.script.watches == [(0.0, "10")]
    assert scene.names == ["a"]
    assert scene.touched == [OWNER] * 4


async def test_a_stream_that_the_server_ends_goes_on_from_its_last_event() -> None:
    scene = a_scene([frame("ADDED", a_service("b", 11)), END], [SILENCE])
    await scene.run(5)
    assert [since for _, since in scene.script.watches] == ["10", "11"]
    assert len(scene.script.lists) == 1


async def test_an_event_that_was_never_sent_is_healed_by_the_next_list() -> None:
    """Streams end by their time every five minutes; then everything is listed again."""
    bookmarks: list[Step] = [frame("BOOKMARK", {"metadata": {"resourceVersion": "20"}}), LONG, END]
    scene = a_scene(bookmarks, [SILENCE], listings=[a_listing("a"), a_listing("b", version=30)])
    await scene.run(100)
    assert scene.names == ["b"]
    assert [since for _, since in scene.script.watches] == ["10", "30"]


async def test_a_bookmark_moves_the_version_and_changes_nothing() -> None:
    bookmark = frame("BOOKMARK", {"metadata": {"resourceVersion": "99"}})
    scene = a_scene([bookmark, END], [SILENCE])
    await scene.run(5)
    assert [since for _, since in scene.script.watches] == ["10", "99"]
    assert scene.touched == [OWNER]


async def test_a_cut_in_the_middle_of_a_line_loses_no_event() -> None:
    line = frame("ADDED", a_service("b", 11))
    scene = a_scene([line[:20], UnreachableError("reset")], [line, SILENCE])
    await scene.run(5)
    assert [since for _, since in scene.script.watches] == ["10", "10"]
    assert scene.names == ["a", "b"]


async def test_garbage_in_the_stream_is_not_passed_over() -> None:
    scene = a_scene(
        [b"<html>proxy error</html>\n", frame("ADDED", a_service("b", 12))],
        [frame("ADDED", a_service("b", 11)), frame("ADDED", a_service("c", 12)), SILENCE],
    )
    await scene.run(5)
    assert scene.script.watches[1][1] == "10"
    assert scene.names == ["a", "b", "c"]


async def test_a_silent_stream_is_left_after_seventy_five_seconds() -> None:
    scene = a_scene([SILENCE], [frame("ADDED", a_service("b", 11)), SILENCE])
    await scene.run(100)
    assert 75 <= scene.script.watches[1][0] <= 77
    assert scene.names == ["a", "b"]


@pytest.mark.parametrize(
    "gone", [an_error(410), answered(410, {"reason": "Expired"})], ids=["frame", "status"]
)
async def test_a_version_that_is_too_old_means_listing_again_within_two_seconds(
    gone: Step,
) -> None:
    scene = a_scene([gone], [SILENCE], listings=[a_listing("a"), a_listing("b", version=50)])
    await scene.run(10)
    assert len(scene.script.lists) == 2
    assert scene.script.lists[1] <= 2
    assert scene.names == ["b"]


async def test_an_error_that_nobody_knows_ends_the_watch() -> None:
    scene = a_scene([an_error(418)])
    with pytest.raises(WatchFailedError, match="418"):
        await asyncio.wait_for(scene.watch.run(), 5)


@pytest.mark.parametrize("code", [429, 500, 503, 504])
async def test_an_error_that_passes_is_waited_for(code: int) -> None:
    scene = a_scene([an_error(code)], [frame("ADDED", a_service("b", 11)), SILENCE])
    await scene.run(10)
    assert scene.names == ["a", "b"]


async def test_a_server_that_is_down_is_asked_less_and_less_often() -> None:
    scene = a_scene(listings=[UnreachableError("connection refused")])
    await scene.run(60)
    gaps = [b - a for a, b in zip(scene.script.lists, scene.script.lists[1:], strict=False)]
    assert gaps == sorted(gaps)
    assert len(gaps) <= 8
    assert max(gaps) <= 30


async def test_the_world_is_right_ten_seconds_after_an_outage_of_a_minute() -> None:
    down = [UnreachableError("refused")] * 6
    scene = a_scene(listings=[*down, a_listing("a", "b", version=60)])
    await scene.run(50)
    assert scene.names == ["a", "b"]


async def test_a_version_that_only_brings_errors_is_given_up() -> None:
    """After a restore of etcd the server answers 504 to versions that it has not reached yet."""
    ahead: list[Step] = [answered(504, {"message": "Too large resource version"})]
    scene = a_scene(ahead, ahead, ahead, listings=[a_listing("a"), a_listing("b", version=5)])
    await scene.run(30)
    assert len(scene.script.lists) == 2
    assert scene.names == ["b"]


async def test_a_wish_of_the_server_to_wait_is_granted() -> None:
    scene = a_scene([answered(429, {}, retry_after=20.0)], [SILENCE])
    await scene.run(60)
    assert scene.script.watches[1][0] >= 20


async def test_missing_rights_are_asked_for_once_a_minute() -> None:
    scene = a_scene(listings=[answered(403, {"reason": "Forbidden"})])
    await scene.run(200)
    assert [round(at) for at in scene.script.lists] == [0, 60, 120, 180]
    assert not scene.watch.synced.is_set()


ABSENT = answered(404, {"reason": "NotFound"})


def an_optional_kind(*listings: Any, streams: Sequence[Sequence[Step]] = ()) -> Scene:
    scene = a_scene(*streams, listings=list(listings))
    scene.watch.known = scene.known.append
    return scene


async def test_a_kind_that_the_server_does_not_know_keeps_nobody_waiting() -> None:
    scene = an_optional_kind(ABSENT)
    await scene.run(1)
    assert scene.watch.synced.is_set()
    assert set(scene.known) == {False}


async def test_a_kind_that_is_not_there_is_asked_for_every_ten_seconds() -> None:
    scene = an_optional_kind(ABSENT)
    await scene.run(300)
    assert {round(after - before) for before, after in pairwise(scene.script.lists)} == {10}


async def test_a_kind_that_is_not_there_is_a_sign_of_life() -> None:
    scene = an_optional_kind(ABSENT)
    await scene.run(300)
    assert scene.watch.seen > 250


async def test_a_kind_that_comes_is_followed() -> None:
    scene = an_optional_kind(ABSENT, a_listing("a"))
    await scene.run(15)
    assert scene.names == ["a"]
    assert scene.known == [False, True]


async def test_of_a_kind_that_goes_nothing_is_left() -> None:
    scene = an_optional_kind(a_listing("a"), ABSENT, streams=[[LONG, END]])
    await scene.run(70)
    assert scene.names == []
    assert scene.touched == [OWNER, OWNER]
    assert scene.known[:2] == [True, False]


async def test_a_kind_that_every_server_knows_is_missed() -> None:
    scene = a_scene(listings=[ABSENT])
    await scene.run(100)
    assert not scene.watch.synced.is_set()


async def test_streams_that_end_at_once_do_not_make_a_hot_loop() -> None:
    scene = a_scene(*[[END] for _ in range(1000)])
    await scene.run(60)
    assert len(scene.script.watches) <= 12


async def test_a_watch_takes_a_step_often_enough_to_be_known_as_alive() -> None:
    oldest = 0.0

    async def look(scene: Scene, until: Callable[[], bool]) -> None:
        nonlocal oldest
        loop = asyncio.get_running_loop()
        while not until():
            oldest = max(oldest, loop.time() - scene.watch.beat)
            await asyncio.sleep(1)

    scene = a_scene(listings=[UnreachableError("refused")] * 5 + [a_listing("a")])
    looking = asyncio.create_task(look(scene, lambda: False))
    await scene.run(2000)
    looking.cancel()
    assert oldest <= 110
