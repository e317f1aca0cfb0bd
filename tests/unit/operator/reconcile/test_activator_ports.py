"""Every LLMDeployment that may go to zero has a port of its own on the activator."""

from hypothesis import given
from hypothesis import strategies as st

from llm_operator.kube.store import Key
from llm_operator.reconcile.scaling import free_port
from llm_operator.render.activation import PORTS

keys = st.builds(Key, st.sampled_from(["a", "b"]), st.text("abc", min_size=1, max_size=8))


@given(st.lists(keys, unique=True, max_size=50))
def test_no_two_have_the_same_port(wanted: list[Key]) -> None:
    taken: set[int] = set()
    for key in wanted:
        port = free_port(key, taken)
        assert port in PORTS
        assert port not in taken
        taken.add(port)


@given(keys)
def test_the_first_choice_follows_from_the_name(key: Key) -> None:
    assert free_port(key, set()) == free_port(key, set())


def test_the_last_free_port_is_found() -> None:
    assert free_port(Key("a", "b"), set(PORTS) - {23_456}) == 23_456
