"""Images are written without a daemon, byte for byte the same for the same files."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

from llm_cluster import image_archive
from llm_cluster.image_archive import Contents


def written(folder: Path) -> Path:
    """An image with one program, one link and a folder for everyone."""
    (folder / "program").write_bytes(b"#!/bin/true")
    contents = Contents(
        ("/bin/program",),
        files={"bin/program": folder / "program"},
        links={"bin/alias": "program"},
        empty=("tmp",),
    )
    image_archive.write(folder / "image.tar", "localhost/x:1", contents, "amd64")
    return folder / "image.tar"


def blob(archive: tarfile.TarFile, digest: str) -> bytes:
    """The bytes that a descriptor's digest names; checked."""
    member = archive.extractfile(f"blobs/{digest.replace(':', '/')}")
    assert member is not None
    body = member.read()
    assert digest == f"sha256:{hashlib.sha256(body).hexdigest()}"
    return body


def test_the_same_files_give_the_same_archive(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    assert written(first).read_bytes() == written(second).read_bytes()


def test_the_archive_names_the_image_and_every_digest_is_true(tmp_path: Path) -> None:
    with tarfile.open(written(tmp_path)) as archive:
        index_file = archive.extractfile("index.json")
        assert index_file is not None
        entry = json.loads(index_file.read())["manifests"][0]
        assert entry["annotations"]["io.containerd.image.name"] == "localhost/x:1"
        manifest = json.loads(blob(archive, entry["digest"]))
        config = json.loads(blob(archive, manifest["config"]["digest"]))
        layer = manifest["layers"][0]["digest"]
        assert config["rootfs"]["diff_ids"] == [layer]
        assert config["config"]["Entrypoint"] == ["/bin/program"]


def test_the_names_in_an_oci_archive_are_found(tmp_path: Path) -> None:
    assert image_archive.references(written(tmp_path)) == {"localhost/x:1"}


def test_the_names_in_a_docker_archive_are_found(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps([{"RepoTags": ["a:1", "b:2"]}, {"RepoTags": None}]))
    with tarfile.open(tmp_path / "docker.tar", "w") as archive:
        archive.add(manifest, "manifest.json")
    assert image_archive.references(tmp_path / "docker.tar") == {"a:1", "b:2"}


def test_the_layer_holds_programs_links_and_open_folders(tmp_path: Path) -> None:
    with tarfile.open(written(tmp_path)) as archive:
        names = [name for name in archive.getnames() if name.startswith("blobs/")]
        bodies = [blob(archive, name[6:].replace("/", ":")) for name in names]
    layer = max(bodies, key=len)
    with tarfile.open(fileobj=io.BytesIO(layer)) as inner:
        entries = {entry.name: entry for entry in inner.getmembers()}
    assert entries["bin/program"].mode == 0o755
    assert entries["bin/alias"].linkname == "program"
    assert entries["tmp"].mode == 0o1777
