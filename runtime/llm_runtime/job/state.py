"""What the Job's containers tell each other: state.json in the folder they share."""

import os
from pathlib import Path

from pydantic import ValidationError

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.layout import ManifestPart

STATE_FILE = "state.json"


class JobState(ManifestPart):
    """What is known so far. ``existed``: the artifact was there before, no work is left."""

    uri: str = ""
    resolved_revision: str = ""
    key: str = ""
    existed: bool = False
    image: str = ""
    digest: str = ""
    size_bytes: int = 0
    family: str = ""
    precision: str = ""


def save_state(work: Path, state: JobState) -> None:
    """Replaces the state at once: a killed container leaves the old one or the new one."""
    partial = work / f".{STATE_FILE}.partial"
    with partial.open("w") as file:
        file.write(state.model_dump_json(by_alias=True))
        file.flush()
        os.fsync(file.fileno())
    partial.rename(work / STATE_FILE)


def load_state(work: Path) -> JobState:
    """The state that the step before has left; ModelError(ExportFailed) when there is none."""
    try:
        return JobState.model_validate_json((work / STATE_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise ModelError(
            Reason.EXPORT_FAILED,
            f"{work / STATE_FILE} is not there or not readable; run the step `fetch` first",
        ) from error
