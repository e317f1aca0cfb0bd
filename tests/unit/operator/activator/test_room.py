"""How much may be held and kept: counted to the byte, whatever comes and in whatever order."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from llm_operator.activator.room import CALL_BYTES, Claim, Memory, Room, Shortage


def claimed(memory: Memory, room: Room, size: int = 0) -> Claim:
    claim = Claim(memory, room)
    assert claim.open()
    assert claim.add(size)
    return claim


@pytest.fixture
def memory() -> Memory:
    return Memory(limit=10 * CALL_BYTES)


@pytest.fixture
def room() -> Room:
    return Room(max_calls=2, max_bytes=1000)


def test_a_call_takes_its_request_and_what_a_call_costs(memory: Memory, room: Room) -> None:
    claimed(memory, room, 300)
    assert memory.used == CALL_BYTES + 300
    assert (room.calls, room.bytes) == (0, 0)


def test_a_held_call_takes_a_place_and_what_comes_of_it_bytes(memory: Memory, room: Room) -> None:
    claim = claimed(memory, room, 300)
    assert claim.hold()
    assert claim.add(200)
    assert (room.calls, room.bytes) == (1, 500)
    claim.go_on()
    assert (room.calls, room.bytes) == (0, 0)
    assert memory.used == CALL_BYTES + 500


def test_a_call_that_is_over_gives_everything_back_once(memory: Memory, room: Room) -> None:
    claim = claimed(memory, room, 300)
    claim.hold()
    claim.close()
    claim.close()
    assert (memory.used, room.calls, room.bytes) == (0, 0, 0)


def test_one_call_more_than_may_wait_is_refused(memory: Memory, room: Room) -> None:
    assert all(claimed(memory, room).hold() for _ in range(2))
    late = claimed(memory, room)
    assert not late.hold()
    assert late.shortage is Shortage.CALLS
    assert room.calls == 2


def test_more_bytes_than_may_wait_are_refused_on_entry_and_on_arrival(
    memory: Memory, room: Room
) -> None:
    first, second = claimed(memory, room, 900), claimed(memory, room, 200)
    assert first.hold()
    assert not second.hold()
    assert second.shortage is Shortage.BYTES
    assert not first.add(200)
    assert first.shortage is Shortage.BYTES
    assert room.bytes == 900


def test_what_is_forwarded_is_bounded_by_the_memory_alone(memory: Memory, room: Room) -> None:
    claim = claimed(memory, room, 5 * CALL_BYTES)
    assert not claim.add(5 * CALL_BYTES)
    assert claim.shortage is Shortage.TOTAL_BYTES
    assert memory.used == 6 * CALL_BYTES


def test_calls_without_a_byte_fill_the_memory_too(memory: Memory) -> None:
    for _ in range(10):
        claimed(memory, Room())
    late = Claim(memory, Room())
    assert not late.open()
    assert late.shortage is Shortage.TOTAL_BYTES
    late.close()
    assert memory.used == memory.limit


def test_what_was_sent_on_is_not_kept(memory: Memory, room: Room) -> None:
    claim = claimed(memory, room, 300)
    claim.drop(300)
    assert (claim.size, memory.used) == (0, CALL_BYTES)


class Rooms(RuleBasedStateMachine):
    """Calls of two LLMDeployments come, grow, wait, go on and end in any order."""

    claims = Bundle("claims")
    sizes = st.integers(0, 700)

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory(limit=6 * CALL_BYTES)
        self.rooms = [Room(max_calls=2, max_bytes=1000) for _ in range(2)]
        self.here: list[Claim] = []
        self.held: set[int] = set()

    @rule(target=claims, number=st.integers(0, 1))
    def come(self, number: int) -> Claim:
        claim = Claim(self.memory, self.rooms[number])
        if claim.open():
            self.here.append(claim)
        return claim

    @rule(claim=claims, size=sizes)
    def grow(self, claim: Claim, size: int) -> None:
        before = claim.size
        if claim in self.here:
            is_kept = claim.add(size)
            assert claim.size == before + (size if is_kept else 0)

    @rule(claim=claims)
    def shrink(self, claim: Claim) -> None:
        if claim in self.here:
            claim.drop(claim.size // 2)

    @rule(claim=claims)
    def wait(self, claim: Claim) -> None:
        if claim in self.here and id(claim) not in self.held and claim.hold():
            self.held.add(id(claim))

    @rule(claim=claims)
    def go_on(self, claim: Claim) -> None:
        claim.go_on()
        self.held.discard(id(claim))

    @rule(claim=consumes(claims))
    def end(self, claim: Claim) -> None:
        claim.close()
        self.held.discard(id(claim))
        self.here = [each for each in self.here if each is not claim]

    @invariant()
    def everything_is_counted_and_nothing_is_above_its_bound(self) -> None:
        assert self.memory.used == sum(each.size + CALL_BYTES for each in self.here)
        assert self.memory.used <= self.memory.limit
        for room in self.rooms:
            held = [each for each in self.here if each.room is room and id(each) in self.held]
            assert (room.calls, room.bytes) == (len(held), sum(each.size for each in held))
            assert room.calls <= room.max_calls
            assert room.bytes <= room.max_bytes


TestRooms = Rooms.TestCase
