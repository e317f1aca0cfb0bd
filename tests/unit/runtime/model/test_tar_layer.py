"""A layer is a tar archive of one file, the same bytes for the same file."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.model.tar_layer import LayerReader, TarLayer, layer_digest, unpack


def archive(content: bytes, name: str = "model.data") -> bytes:
    layer = TarLayer(name, len(content))
    return layer.header + content + layer.trailer


@given(st.binary(max_size=3000))
def test_any_tar_reads_it(content: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive(content))) as opened:
        (member,) = opened.getmembers()
        assert (member.name, member.size, member.mode) == ("model.data", len(content), 0o644)
        assert (member.uid, member.gid, member.mtime) == (0, 0, 0)
        inner = opened.extractfile(member)
        assert inner is not None
        assert inner.read() == content


@given(st.binary(max_size=3000), st.sampled_from(["a", "model.data", "x" * 100]))
def test_unpack_gives_back_what_was_packed(content: bytes, name: str) -> None:
    assert unpack(name, archive(content, name)) == content


@given(st.binary(min_size=1, max_size=600), st.integers(0, 10_000), st.integers(1, 255))
def test_unpack_takes_no_archive_that_we_would_not_write(
    content: bytes, position: int, change: int
) -> None:
    altered = bytearray(archive(content))
    outside = [i for i in range(len(altered)) if not 512 <= i < 512 + len(content)]
    altered[outside[position % len(outside)]] ^= change
    assert unpack("model.data", bytes(altered)) is None


def test_unpack_takes_no_other_name() -> None:
    assert unpack("manifest.json", archive(b"x")) is None


@given(content=st.binary(max_size=5000), step=st.integers(1, 2000))
def test_the_reader_streams_the_same_bytes_and_knows_their_number(
    tmp_path_factory: object, content: bytes, step: int
) -> None:
    folder = tmp_path_factory.mktemp("layer")  # type: ignore[attr-defined]
    (folder / "model.data").write_bytes(content)
    layer = TarLayer("model.data", len(content))
    reader = LayerReader(folder, layer)
    got = b"".join(iter(lambda: reader.read(step), b""))
    assert got == archive(content)
    assert len(LayerReader(folder, layer)) == layer.size == len(got)
    assert layer_digest(folder, layer) == f"sha256:{hashlib.sha256(got).hexdigest()}"


def test_the_file_systems_facts_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "model.data"
    path.write_bytes(b"content")
    layer = TarLayer("model.data", 7)
    before = layer_digest(tmp_path, layer)
    path.chmod(0o600)
    os.utime(path, (1, 1))
    assert layer_digest(tmp_path, layer) == before


def test_a_file_over_eight_gigabytes_has_a_header_too() -> None:
    layer = TarLayer("model.data", 20 << 30)
    entry = tarfile.TarInfo.frombuf(layer.header, "utf-8", "strict")
    assert entry.size == 20 << 30
