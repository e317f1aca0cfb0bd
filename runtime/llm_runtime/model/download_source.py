"""A source becomes a folder with a checkpoint: one entrance for all kinds of sources."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llm_runtime.errors import ModelError, Reason
from llm_runtime.model.hub import HubAccess, HubDownload
from llm_runtime.model.progress import Progress, Step
from llm_runtime.model.selection import require_weights, small_files
from llm_runtime.model.source import HttpSource, HubSource, Pinned, Source, VolumeSource
from llm_runtime.model.space import full_disk_is_no_space
from llm_runtime.model.volume import VolumeCopy
from llm_runtime.model.web import WebDownload

# Judges the small files before gigabytes are moved; raises ModelError.
Inspect = Callable[[Path], None]
# Told what the source turned out to be; True ends the download, because there is no need of it.
IsEnough = Callable[[Pinned], bool]


@dataclass(frozen=True, slots=True)
class Access:
    """What sources need besides their address; ``volume_root`` is where claims are mounted."""

    hub_endpoint: str | None = None
    token: str | None = None
    volume_root: Path = Path("/source")


@dataclass(frozen=True, slots=True)
class Download:
    """One download into ``folder`` (made when absent), and who is asked on the way."""

    source: Source
    folder: Path
    inspect: Inspect
    is_enough: IsEnough


def download_source(download: Download, access: Access, progress: Progress) -> Pinned:
    """Fetches the checkpoint's files and says what exactly they are. Raises ModelError."""
    download.folder.mkdir(parents=True, exist_ok=True)
    with full_disk_is_no_space(download.folder):
        match download.source:
            case HubSource() as source:
                hub = HubAccess(access.hub_endpoint, access.token)
                return _from_hub(download, HubDownload(source, hub, download.folder), progress)
            case VolumeSource() as source:
                copy = VolumeCopy(source, access.volume_root, download.folder)
                return _from_volume(download, copy, progress)
            case HttpSource() as source:
                web = WebDownload(source, access.token, download.folder)
                return _from_web(download, web, progress)
    raise ModelError(
        Reason.PRE_EXPORTED_UNSUPPORTED,
        "an oci:// source is an artifact already; fetch it with `llm-runtime fetch`, there is"
        " nothing to export",
    )


def _from_hub(download: Download, hub: HubDownload, progress: Progress) -> Pinned:
    listing = hub.survey()
    if download.is_enough(listing.pinned):
        return listing.pinned
    require_weights(listing.files)
    progress.begin(Step.FETCH, 0)
    hub.fetch_small(listing, progress)
    download.inspect(download.folder)
    hub.fetch_weights(listing, progress)
    return listing.pinned


def _from_volume(download: Download, copy: VolumeCopy, progress: Progress) -> Pinned:
    sizes = copy.survey()
    progress.begin(Step.FETCH, 0)
    copy.copy_small(sizes, progress)
    download.inspect(download.folder)
    pinned = copy.copy_weights(sizes, progress)
    download.is_enough(pinned)
    return pinned


def _from_web(download: Download, web: WebDownload, progress: Progress) -> Pinned:
    if download.is_enough(web.pinned):
        return web.pinned
    progress.begin(Step.FETCH, 0)
    small_files(web.fetch(progress))
    download.inspect(download.folder)
    return web.pinned
