"""The key of an artifact: the same for the same weights and settings, for all time."""

from llm_runtime.job.key import content_key


def test_the_key_of_known_weights_does_not_change_by_accident() -> None:
    """A change here makes every stored model be exported again: raise the graph's version."""
    assert content_key("hf:acme/tiny@" + "0" * 40, "fp32") == (
        "af091841a2e4f6d94d2842ac85605ee429901ee0c83b74924f7c4fc18f4ed0f7"
    )


def test_other_weights_and_other_settings_have_other_keys() -> None:
    keys = {content_key(source, how) for source in ("pvc:a", "http:a") for how in ("fp32", "int8")}
    assert len(keys) == 4
