"""`models get`: a wish, the catalogue, and the parts that fulfil it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.keys import Keys
from app.settings import SettingsStore, config_dir
from commands.models.bars import Teller
from model_hub.catalogue import Entry, find, load_catalogue
from model_hub.download import Converter, Getter, folder_name
from model_hub.errors import NotFoundError
from model_hub.progress import Progress
from model_hub.sources import HUGGING_FACE, MODELSCOPE, MODELSCOPE_ABROAD, Address, Service, parse_address
from model_hub.store import ModelStore

HUB_KEYS = {"huggingface": "hub huggingface", "modelscope": "hub modelscope"}
"""Under which names `Keys` holds the tokens of the services."""
PLACES = {HUGGING_FACE: "huggingface", MODELSCOPE: "modelscope", MODELSCOPE_ABROAD: "modelscope"}
"""Where these tokens may go."""


@dataclass(frozen=True)
class Wish:
    """What was asked for. `bits`: "4", "8", "none", or None for the catalogue's advice."""

    what: str
    bits: str | None = None
    service: Service = "huggingface"
    name: str = ""
    use: bool = False


def get(wish: Wish, root: Path | None, teller: Teller) -> Path:
    """The folder of the finished model. Raises GetError."""
    catalogue = load_catalogue()
    if any(entry.shipped and entry.name == wish.what for entry in catalogue):
        raise NotFoundError(f"{wish.what} comes with Sightline.", "There is nothing to get.")
    entry = find(catalogue, wish.what)
    address = parse_address(wish.what, wish.service) if entry is None else _address(entry, wish.service)
    bits = _bits(wish, entry)
    store = ModelStore(root)
    fetched = 0

    def report(progress: Progress) -> None:
        nonlocal fetched
        fetched = progress.fetched_bytes
        teller.tell(progress)

    keys = Keys(config_dir())
    tokens = {place: token for place, service in PLACES.items() if (token := keys.get(HUB_KEYS[service]))}
    getter = Getter(store, tokens=tokens, report=report, inspect=_inspect)
    name = wish.name or folder_name(address, bits)
    path = getter.get(address, bits=bits, converter=_converter(bits), name=name)
    if wish.use:
        SettingsStore().change({"checkpoint": str(path)})
    teller.done(str(path), name, fetched)
    return path


def _address(entry: Entry, service: Service) -> Address:
    repository = entry.modelscope if service == "modelscope" else entry.huggingface
    if not repository:
        raise NotFoundError(f"{entry.name} is not at {service}.", "Get it without --from.")
    return parse_address(repository, service)


def _bits(wish: Wish, entry: Entry | None) -> int | None:
    if wish.bits is not None:
        return None if wish.bits == "none" else int(wish.bits)
    return entry.default_bits if entry is not None else None


def _converter(bits: int | None) -> Converter | None:
    if bits is None:
        return None
    from commands.models.conversion import ShardConversion

    return ShardConversion(bits)


def _inspect(folder: Path) -> None:
    """Before the weights come: whether this app can run what config.json and its neighbours describe."""
    from commands.models.conversion import check_small_files

    check_small_files(folder)
