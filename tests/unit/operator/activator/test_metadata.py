"""Which metadata crosses the proxy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_operator.activator.metadata import RETRY_HINT, passed_on, retry_hint

pairs = st.lists(
    st.tuples(
        st.sampled_from(["te", "user-agent", ":path", "grpc-timeout", "x-a", "x-b-bin"]),
        st.one_of(st.text(), st.binary()),
    )
)


@pytest.mark.parametrize(
    "key",
    [
        "te",
        "user-agent",
        "content-type",
        "host",
        "connection",
        ":authority",
        ":path",
        "grpc-timeout",
        "grpc-encoding",
        "grpc-status",
        "grpc-message",
        "grpc-accept-encoding",
    ],
)
def test_what_belongs_to_one_connection_or_to_the_protocol_stays_here(key: str) -> None:
    assert passed_on([(key, "v")]) == ()


@pytest.mark.parametrize(
    "key",
    [
        "authorization",
        "x-request-id",
        "traceparent",
        "cookie",
        "x-user-bin",
        "grpc-status-details-bin",
        "grpc-trace-bin",
        "grpc-tags-bin",
        "grpc-retry-pushback-ms",
    ],
)
def test_what_applications_set_goes_on(key: str) -> None:
    assert passed_on([(key, "v")]) == ((key, "v"),)


def test_no_metadata_is_none() -> None:
    assert passed_on(None) == ()


@given(pairs)
def test_repeated_keys_and_their_order_are_kept(found: list[tuple[str, str | bytes]]) -> None:
    assert passed_on(found) == tuple(each for each in found if each[0].startswith("x-"))


@given(pairs)
def test_a_second_proxy_takes_nothing_more_away(found: list[tuple[str, str | bytes]]) -> None:
    assert passed_on(passed_on(found)) == passed_on(found)


def test_the_last_hint_counts() -> None:
    assert retry_hint([(RETRY_HINT, "1"), ("x", "9"), (RETRY_HINT, "20")]) == 20


def test_without_a_hint_there_is_none() -> None:
    assert retry_hint([("x", "9")]) is None


@pytest.mark.parametrize("text", ["-5", "", "1_000", " 1", "٣", "2147483648", "9" * 5000, b"7"])
def test_what_is_no_32_bit_number_asks_for_no_other_try(text: str | bytes) -> None:
    hint = retry_hint([(RETRY_HINT, text)])
    assert hint is not None
    assert hint < 0
