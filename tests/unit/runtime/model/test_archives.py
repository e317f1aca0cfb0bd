"""Archives from the internet put plain files of a checkpoint into one folder, and nothing else."""

import io
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.errors import ModelError, Reason
from llm_runtime.model.selection import is_wanted
from llm_runtime.model.web import unpack_members


def archive(*members: tarfile.TarInfo, content: bytes = b"{}") -> tarfile.TarFile:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as written:
        for member in members:
            if member.isfile():
                member.size = len(content)
            written.addfile(member, io.BytesIO(content) if member.isfile() else None)
    buffer.seek(0)
    return tarfile.open(fileobj=buffer, mode="r|")


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize("top", ["", "./", "model/", "./model/"])
def test_files_at_the_root_or_in_one_folder_are_taken(tmp_path: Path, top: str) -> None:
    unpack_members(archive(entry(f"{top}config.json"), entry(f"{top}a.safetensors")), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "a.safetensors"}


def test_code_pickle_and_deeper_files_stay_in_the_archive(tmp_path: Path) -> None:
    names = ["modeling.py", "pytorch_model.bin", "x.so", "a/b/config.json", "README.md"]
    unpack_members(archive(*map(entry, names)), tmp_path)
    assert list(tmp_path.iterdir()) == []


EVIL = {
    "a parent": entry("../config.json"),
    "a parent in between": entry("a/../../config.json"),
    "an absolute path": entry("/etc/config.json"),
    "a symlink": entry("config.json", tarfile.SYMTYPE, "/etc/passwd"),
    "a hard link": entry("config.json", tarfile.LNKTYPE, "/etc/passwd"),
    "a device": entry("config.json", tarfile.CHRTYPE),
    "a pipe": entry("config.json", tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("case", EVIL)
def test_an_archive_with_more_than_plain_files_is_refused(tmp_path: Path, case: str) -> None:
    with pytest.raises(ModelError, match="pack plain files only") as caught:
        unpack_members(archive(EVIL[case]), tmp_path)
    assert caught.value.reason is Reason.DOWNLOAD_FAILED
    assert not caught.value.retryable
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_comes_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json twice"):
        unpack_members(archive(entry("config.json"), entry("m/config.json")), tmp_path)


@given(st.lists(st.text(alphabet="./\\ab\0", min_size=1, max_size=12), max_size=4))
def test_no_name_writes_outside_the_folder(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    base = tmp_path_factory.mktemp("names")
    (base / "inside").mkdir()
    members = [entry(f"{name}/config.json") for name in names]
    with suppress(ModelError):
        unpack_members(archive(*members), base / "inside")
    assert [path.name for path in base.iterdir()] == ["inside"]
    assert {path.name for path in (base / "inside").iterdir()} <= {"config.json"}


def test_only_a_checkpoints_files_are_wanted() -> None:
    assert is_wanted("model-00001-of-00002.safetensors")
    assert is_wanted("chat_template.jinja")
    assert not is_wanted("pytorch_model.bin")
    assert not is_wanted("configuration_x.py")
