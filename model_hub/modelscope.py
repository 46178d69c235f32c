"""ModelScope, or a mirror that speaks its API: listing and addresses by its client library, bytes by ranges.

The client is `modelscope_hub`, which `modelscope` itself hands its hub calls to; importing it takes no torch.
ModelScope names branches and tags only, so what pins a revision is the SHA-256 of every file, kept with the download.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager

from model_hub.errors import AccessError, NetworkError, NotFoundError
from model_hub.files import Digest, Listing, RemoteFile
from model_hub.http import Web, why
from model_hub.sources import MODELSCOPE, MODELSCOPE_ABROAD, Body, Source

DEFAULT_REVISION = "master"


class ModelScope(Source):
    """One repository."""

    def __init__(self, repository: str, web: Web, endpoint: str = MODELSCOPE, token: str = "") -> None:
        from modelscope_hub import HubApi

        self.label = f"{repository} at {endpoint.partition('://')[2]}"
        self._repository, self._web = repository, web
        self._token = token
        # "" is none; None would take the one that its own login left, which is for its own servers.
        own = endpoint in (MODELSCOPE, MODELSCOPE_ABROAD)
        self._api = HubApi(endpoint=endpoint, token=token or (None if own else ""))
        logging.getLogger("modelscope_hub").setLevel(logging.ERROR)  # its retries; what fails in the end is raised

    def listing(self, revision: str) -> Listing:
        from modelscope_hub.errors import AuthenticationError, HubError, NotExistError, PermissionDeniedError

        revision = revision or DEFAULT_REVISION
        try:
            found = self._api.list_repo_files(self._repository, "model", revision=revision)
        except (AuthenticationError, PermissionDeniedError) as error:
            raise AccessError(
                f"{self.label} may not be read.", "Accept its licence at the site, then store a token: models token ms"
            ) from error
        except NotExistError as error:
            raise NotFoundError(
                f"There is no {self.label} with the revision {revision!r}.", "Look at the name."
            ) from error
        except (HubError, OSError, ValueError) as error:
            raise NetworkError(
                f"{self.label} does not answer ({why(error)}).", "Look at the network, and try again."
            ) from error
        files = tuple(
            RemoteFile(entry.path, int(entry.size), Digest("sha256", entry.sha256))
            for entry in found
            if entry.sha256 and entry.type != "tree"
        )
        if not files:
            raise NotFoundError(f"{self.label} lists no file with its SHA-256.", "Look at the name.")
        return Listing(revision, files)

    def open(self, file: RemoteFile, revision: str, offset: int) -> AbstractContextManager[Body]:
        url = self._api.legacy.get_download_url(self._repository, "model", file.name, revision)
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return self._web.body(url, file, offset, headers)
