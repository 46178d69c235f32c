"""Hugging Face, or a mirror that speaks its API: listing and addresses by `huggingface_hub`, bytes by ranges.

The library's own download neither compares checksums nor survives being killed without a rest that it may use again,
so it gives the facts (names, sizes, SHA-256, the commit, addresses, headers) and `http.Web` fetches.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from model_hub.errors import AccessError, NetworkError, NotFoundError
from model_hub.files import Digest, Listing, RemoteFile
from model_hub.http import Web, why
from model_hub.sources import HUGGING_FACE, Body, Source

LIST_TIMEOUT_S = 30.0


class HuggingFace(Source):
    """One repository. The token that is stored for huggingface.co is never sent to a mirror."""

    def __init__(self, repository: str, web: Web, endpoint: str = HUGGING_FACE, token: str = "") -> None:
        self.label = f"{repository} at {endpoint.partition('://')[2]}"
        self._repository, self._web, self._endpoint = repository, web, endpoint
        self._token: str | bool | None = token or (None if endpoint == HUGGING_FACE else False)

    def listing(self, revision: str) -> Listing:
        import httpx2
        from huggingface_hub import HfApi
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            OfflineModeIsEnabled,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        api = HfApi(endpoint=self._endpoint, token=self._token)
        try:
            info = api.model_info(
                self._repository, revision=revision or None, files_metadata=True, timeout=LIST_TIMEOUT_S
            )
        except GatedRepoError as error:
            raise AccessError(
                f"{self.label} is gated.", "Accept its licence at the site, then store a token: models token hf"
            ) from error
        except RevisionNotFoundError as error:
            raise NotFoundError(f"{self.label} has no revision {revision!r}.", "Look at the address.") from error
        except RepositoryNotFoundError as error:
            raise NotFoundError(
                f"There is no {self.label}, or it is private.", "Look at the name, or store a token: models token hf"
            ) from error
        except OfflineModeIsEnabled as error:
            raise NetworkError("HF_HUB_OFFLINE is set, so nothing is fetched.", "Unset it.") from error
        except (HfHubHTTPError, httpx2.HTTPError, OSError, ValueError) as error:
            raise NetworkError(
                f"{self.label} does not answer ({why(error)}).", "Look at the network, and try again."
            ) from error
        files = []
        for sibling in info.siblings or ():
            if sibling.lfs is not None:
                files.append(RemoteFile(sibling.rfilename, sibling.lfs.size, Digest("sha256", sibling.lfs.sha256)))
            elif sibling.size is not None and sibling.blob_id:
                files.append(RemoteFile(sibling.rfilename, sibling.size, Digest("git-sha1", sibling.blob_id)))
        if not info.sha:
            raise NotFoundError(f"{self.label} does not say which revision it is.", "Try another mirror.")
        return Listing(info.sha, tuple(files))

    def open(self, file: RemoteFile, revision: str, offset: int) -> AbstractContextManager[Body]:
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils._headers import build_hf_headers

        url = hf_hub_url(self._repository, file.name, revision=revision, endpoint=self._endpoint)
        return self._web.body(url, file, offset, build_hf_headers(token=self._token))
