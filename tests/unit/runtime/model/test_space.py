"""Room is asked for beforehand, and a refusal says how much is needed."""

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.errors import ModelError, Reason
from llm_runtime.model.space import (
    full_disk_is_no_space,
    require_disk,
    require_memory,
    shown,
)


def test_more_bytes_than_any_disk_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="are needed") as caught:
        require_disk(tmp_path, 1 << 60)
    assert caught.value.reason is Reason.NO_SPACE
    assert caught.value.retryable
    require_disk(tmp_path, 1)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_has_its_own_reason(tmp_path: Path, code: int) -> None:
    with pytest.raises(ModelError, match="ran full"), full_disk_is_no_space(tmp_path):
        raise OSError(code, "")


def test_other_faults_of_a_disk_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Input"), full_disk_is_no_space(tmp_path):
        raise OSError(errno.EIO, "Input/output error")


@given(st.integers(0, 1 << 40), st.none() | st.integers(0, 1 << 40))
def test_memory_is_refused_exactly_when_it_is_over_the_limit(
    needed: int, limit: int | None
) -> None:
    if limit is None or needed <= limit:
        require_memory(needed, limit, "the export")
        return
    with pytest.raises(ModelError) as caught:
        require_memory(needed, limit, "the export")
    assert shown(needed) in caught.value.message
    assert shown(limit) in caught.value.message


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 40, "3.0 TiB")]
)
def test_bytes_are_shown_for_people(size: int, text: str) -> None:
    assert shown(size) == text
