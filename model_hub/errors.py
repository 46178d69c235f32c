"""What can go wrong while a model is being got: each error says what happened and what to do."""

from __future__ import annotations


class GetError(Exception):
    """`message` says what happened, `remedy` what to do; both are sentences for people."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.message = message
        self.remedy = remedy


class NotFoundError(GetError):
    """There is no such repository, revision, file or folder."""


class AccessError(GetError):
    """The repository is gated or private, and the token does not open it."""


class NetworkError(GetError):
    """The connection failed again and again; what has come is kept."""


class FolderError(GetError):
    """The folder of the models cannot be used."""


class DiskFullError(GetError):
    """The disk has not, or no longer, enough room."""


class WrongContentsError(GetError):
    """What the source delivers is not what it published, however often it is asked."""


class UnsuitableError(GetError):
    """The repository holds no model that this app can run."""


class BusyError(GetError):
    """Another process is getting the same model."""
