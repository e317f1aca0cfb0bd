"""Hugging Face repositories, through the real ``huggingface_hub``."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_runtime.errors import ModelError, Reason
from llm_runtime.model.digests import file_sha256
from llm_runtime.model.progress import Progress, Step
from llm_runtime.model.selection import is_wanted, small_files, weight_files
from llm_runtime.model.source import HubSource, Pinned
from llm_runtime.model.space import require_disk

_TIMEOUT_SECONDS = 20
_WORKERS = 4


@dataclass(frozen=True, slots=True)
class HubAccess:
    """Which hub (None: huggingface.co) and as whom (None: anonymous)."""

    endpoint: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class HubListing:
    """A repository at one commit: what the hub says of each file at its root."""

    repository: str
    commit: str
    files: dict[str, Any]

    @property
    def pinned(self) -> Pinned:
        """The repository at exactly this commit. Raises ModelError for files without a digest.

        The identity holds the digests of the files, too: a hub of somebody's own may call any files
        by the commit of a known model, and must not get that model's place in the registry.
        """
        place = f"{self.repository}@{self.commit}"
        return Pinned(f"hf://{place}", self.commit, f"hf:{place}:{self._digest}")

    @property
    def _digest(self) -> str:
        facts = ((name, _listed_digest(name, self.files[name])) for name in sorted(self.files))
        text = "".join(f"{name}\0{digest}\n" for name, digest in facts)
        return hashlib.sha256(text.encode()).hexdigest()


class HubDownload:
    """One repository's download, in two parts: small files first, so that they can be judged."""

    def __init__(self, source: HubSource, access: HubAccess, folder: Path) -> None:
        self._source = source
        self._access = access
        self._folder = folder
        self._hub = _import_hub(folder)

    def survey(self) -> HubListing:
        """Resolves branch or tag to a commit and lists its files. Raises ModelError."""
        with self._errors():
            api = self._hub.HfApi(endpoint=self._access.endpoint, token=self._token)
            info = api.model_info(
                self._source.repository,
                revision=self._source.revision,
                timeout=_TIMEOUT_SECONDS,
                files_metadata=True,
            )
        files = {each.rfilename: each for each in info.siblings or []}
        if info.sha is None:
            raise self._unreachable("it names no commit")
        return HubListing(self._source.repository, info.sha, files)

    def fetch_small(self, listing: HubListing, progress: Progress) -> None:
        """Configuration, tokenizer and index. Raises ModelError."""
        self._fetch(listing, small_files(listing.files), progress)

    def fetch_weights(self, listing: HubListing, progress: Progress) -> None:
        """The safetensors files. Raises ModelError."""
        names = weight_files(self._folder, listing.files)
        size = sum(listing.files[name].size or 0 for name in names)
        require_disk(self._folder, size)
        progress.begin(Step.FETCH, size)
        self._fetch(listing, names, progress)
        shutil.rmtree(self._folder / ".cache", ignore_errors=True)

    @property
    def _token(self) -> str | bool:
        # False: not the token of whoever is logged in on this machine.
        return self._access.token or False

    def _fetch(self, listing: HubListing, names: list[str], progress: Progress) -> None:
        with self._errors():
            self._hub.snapshot_download(
                listing.repository,
                revision=listing.commit,
                local_dir=self._folder,
                allow_patterns=names,
                token=self._token,
                endpoint=self._access.endpoint,
                max_workers=_WORKERS,
                etag_timeout=_TIMEOUT_SECONDS,
                tqdm_class=_reporting_bar(progress),
            )
        for name in names:
            _check(self._folder / name, listing.files[name])

    @contextmanager
    def _errors(self) -> Iterator[None]:
        import httpx2

        errors = self._hub.errors
        try:
            yield
        except (errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
            if isinstance(error, errors.LocalEntryNotFoundError):
                raise self._unreachable(type(error.__cause__ or error).__name__) from error
            raise self._missing() from error
        except errors.HfHubHTTPError as error:
            raise self._refused(error) from error
        except errors.HFValidationError as error:
            raise self._missing() from error
        except (httpx2.ReadError, httpx2.RemoteProtocolError, errors.XetDownloadError) as error:
            raise ModelError(
                Reason.DOWNLOAD_FAILED,
                f"the download of {self._source.repository} broke off; it is tried again",
            ) from error
        except (httpx2.HTTPError, ConnectionError, TimeoutError) as error:
            raise self._unreachable(type(error).__name__) from error

    def _refused(self, error: Any) -> ModelError:
        errors, status = self._hub.errors, error.response.status_code
        gated = isinstance(error, errors.GatedRepoError | errors.DisabledRepoError)
        unknown = isinstance(error, errors.RepositoryNotFoundError) and not gated
        if unknown and (status == 404 or self._access.token is None):
            return self._missing()
        if status in (401, 403):
            return ModelError(
                Reason.AUTH_FAILED,
                f"the hub refuses access to {self._source.repository}; give a token that may read"
                " it in the Secret that credentials.secretRef names (key HF_TOKEN), and accept"
                " the model's licence on its page if it is gated",
            )
        if status == 404:
            return self._missing()
        return self._unreachable(f"it answered {status}")

    def _missing(self) -> ModelError:
        return ModelError(
            Reason.FILE_NOT_FOUND,
            f"hf://{self._source.repository}@{self._source.revision} does not exist or is"
            " private; check repository and revision, or name credentials with"
            " credentials.secretRef",
        )

    def _unreachable(self, what: str) -> ModelError:
        return ModelError(
            Reason.SOURCE_UNREACHABLE,
            f"the hub {self._access.endpoint or 'huggingface.co'} cannot be used ({what}); check"
            " the endpoint, the network policy and the proxy of the export Job",
        )


def _import_hub(folder: Path) -> Any:
    """The library, told to send no telemetry and to write nowhere but beside the download."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ.setdefault("HF_HOME", str(folder.absolute().parent / ".huggingface"))
    import huggingface_hub
    import huggingface_hub.errors

    return huggingface_hub


def _reporting_bar(progress: Progress) -> type[Any]:
    """A progress bar that shows nothing and hands the bytes written to disk to ``progress``."""
    from tqdm.auto import tqdm  # type: ignore[import-untyped]

    class ReportingBar(tqdm):  # type: ignore[misc,type-arg,unused-ignore]
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            settings.pop("name", None)
            description = settings.get("desc") or ""
            self._counts = settings.get("unit") == "B" and description.startswith("Recon")
            super().__init__(*arguments, **(settings | {"disable": True}))

        def update(self, n: float | None = 1) -> bool | None:
            if self._counts:
                progress.advance(int(n or 0))
            return None

    return ReportingBar


def _listed_digest(name: str, facts: Any) -> str:
    """What the hub lists for a file: sha256 of a large one, git's id of a small one."""
    if facts.lfs is not None:
        return f"sha256:{facts.lfs.sha256}"
    if facts.blob_id is None and is_wanted(name):
        raise ModelError(
            Reason.CHECKSUM_MISMATCH,
            f"the hub lists no digest of {name[:100]}, so nobody can tell whether the right file"
            " arrives; name a hub or mirror that lists them (blobId, lfs.sha256), or serve the"
            " files as an http(s):// source with a digest",
        )
    return f"git:{facts.blob_id}"


def _check(path: Path, facts: Any) -> None:
    """The hub's own digest of the file: sha256 of large ones, git's id of small ones."""
    if facts.lfs is not None:
        right = file_sha256(path) == facts.lfs.sha256
    else:
        right = _git_id(path) == facts.blob_id
    if not right:
        path.unlink()
        raise ModelError(
            Reason.CHECKSUM_MISMATCH,
            f"{path.name} arrived with another digest than the hub lists; it is downloaded again,"
            " and if that repeats, look at the proxy in between",
            retryable=True,
        )


def _git_id(path: Path) -> str:
    content = path.read_bytes()
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
