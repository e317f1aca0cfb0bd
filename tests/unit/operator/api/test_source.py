"""Sources: many spellings, one normalised uri."""

import pytest

from llm_operator.api.source import parse_uri

SHA = "ab" * 32


@pytest.mark.parametrize(
    ("written", "normalised"),
    [
        ("hf://org/name", "hf://org/name@main"),
        ("hf://org/name@v1", "hf://org/name@v1"),
        ("hf://gpt2@refs/pr/1", "hf://gpt2@refs/pr/1"),
        ("pvc://claim", "pvc://claim"),
        ("pvc://claim/", "pvc://claim"),
        ("pvc://claim//a/./b/", "pvc://claim/a/b"),
        (f"https://host/x.tar#sha256={SHA}", f"https://host/x.tar#sha256={SHA}"),
        (f"http://host:80/x?y=1#sha256={SHA}", f"http://host:80/x?y=1#sha256={SHA}"),
    ],
)
def test_a_uri_is_normalised(written: str, normalised: str) -> None:
    assert parse_uri(written).uri == normalised
    assert parse_uri(parse_uri(written).uri) == parse_uri(written)


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("https://host/x.tar", "digest"),
        (f"https://user:word@host/x#sha256={SHA}", "user or password"),
        ("s3://bucket/prefix", "s3:// sources are not supported yet"),
        ("oci://host/image", "oci:// sources are not supported yet"),
        (f"http://:80/x#sha256={SHA}", "names a host"),
        (f"http://[zz]/x#sha256={SHA}", "names a host"),
        ("pvc://claim/../other", "stay in the volume"),
        ("pvc://claim/%2e%2E/other", "stay in the volume"),
        ("pvc://claim/a%2Fb", "stay in the volume"),
        (f"pvc://claim/{'a' * 1600}", "at most 1536 characters"),
        (f"hf://{'a' * 97}", "must be hf://"),
        (f"hf://a@{'v' * 257}", "must be hf://"),
        ("ftp://host/file", "must be hf://"),
        ("hf://a/b/c", "must be hf://"),
        ("", "must be hf://"),
    ],
)
def test_a_uri_that_cannot_be_is_refused_with_what_it_should_be(written: str, names: str) -> None:
    with pytest.raises(ValueError, match=names):
        parse_uri(written)


def test_the_export_pod_sees_a_claim_where_it_is_mounted() -> None:
    assert parse_uri("pvc://claim/a/b").job_uri == "pvc:///source/a/b"
    assert parse_uri("pvc://claim").job_uri == "pvc:///source"
    assert parse_uri("hf://a/b").job_uri == "hf://a/b@main"


def test_a_table_shows_neither_digests_nor_whole_commits_nor_signatures() -> None:
    assert parse_uri(f"https://host/x.tar#sha256={SHA}").display == "https://host/x.tar"
    signed = parse_uri(f"https://host/x.tar?sig=hunter2#sha256={SHA}")
    assert signed.display == "https://host/x.tar"
    assert "?sig=hunter2" in signed.uri, "the export Job needs it"
    assert parse_uri(f"hf://a/b@{'0123456789' * 4}").display == "hf://a/b@012345678901"
