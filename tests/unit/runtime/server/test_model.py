import json

import pytest

from llm_runtime.engine.request import Sampling
from llm_runtime.errors import ModelError
from llm_runtime.server.model import parse_defaults


def defaults(**fields: object) -> Sampling:
    return parse_defaults(json.dumps(fields).encode())


def test_a_model_that_says_nothing_is_greedy() -> None:
    assert defaults() == Sampling(temperature=0.0)


def test_a_model_that_does_not_sample_is_greedy_whatever_else_it_says() -> None:
    assert defaults(do_sample=False, temperature=0.7, top_p=0.8) == Sampling(temperature=0.0)


def test_a_model_that_samples_brings_its_authors_values() -> None:
    found = defaults(do_sample=True, temperature=0.6, top_k=20, top_p=0.95)
    assert found == Sampling(temperature=0.6, top_k=20, top_p=0.95)


def test_what_a_sampling_model_leaves_out_is_neutral() -> None:
    assert defaults(do_sample=True, top_k=None) == Sampling(temperature=1.0)


@pytest.mark.parametrize(
    "fields",
    [{"temperature": 3}, {"temperature": -1}, {"top_k": -1}, {"top_p": 1.5}, {"top_p": "x"}],
)
def test_values_out_of_range_stop_the_model_from_loading(fields: dict[str, object]) -> None:
    with pytest.raises(ModelError, match=r"generation_config\.json"):
        defaults(do_sample=True, **fields)


def test_something_that_is_not_json_stops_the_model_from_loading() -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        parse_defaults(b"[")
