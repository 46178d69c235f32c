"""From an address to its source; tries what a bare web address can be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from model_hub.errors import NetworkError, NotFoundError
from model_hub.files import Listing
from model_hub.folders import Folder, WebFolder
from model_hub.http import Web
from model_hub.huggingface import HuggingFace
from model_hub.modelscope import ModelScope
from model_hub.sources import Address, Source


def open_source(address: Address, web: Web, tokens: Mapping[str, str]) -> Source:
    """`tokens` by the address of the service that each is for: it goes nowhere else. A bare web address ("web") must
    have been settled by `settle`.
    """
    match address.service:
        case "huggingface":
            return HuggingFace(address.repository, web, address.place, tokens.get(address.place, ""))
        case "modelscope":
            return ModelScope(address.repository, web, address.place, tokens.get(address.place, ""))
        case "web":
            return WebFolder(f"{address.place}/{address.repository}", web)
        case "folder":
            return Folder(Path(address.place))


def settle(address: Address, web: Web, tokens: Mapping[str, str]) -> tuple[Address, Source, Listing]:
    """The source with its listing. A bare web address is a mirror of Hugging Face if it answers as one, else a folder.

    Tokens never go to an address that only looks like a mirror. Raises GetError.
    """
    if address.service != "web":
        source = open_source(address, web, tokens)
        return address, source, source.listing(address.revision)
    mirror = Address("huggingface", address.place, address.repository, address.revision)
    source = open_source(mirror, web, {})
    try:
        return mirror, source, source.listing(address.revision)
    except (NotFoundError, NetworkError) as as_mirror:
        folder = open_source(address, web, {})
        try:
            return address, folder, folder.listing("")
        except NetworkError:
            raise as_mirror from None
