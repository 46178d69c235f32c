"""What people give as a checkpoint: a folder, a file in it, a hub's cache, a name. Without torch.

`checkpoint_folder` understands it, or says in one sentence what it is and what to give instead.
"""

from __future__ import annotations

import re
from pathlib import Path

from model.errors import ConfigError

_HUB_NAME = re.compile(r"[\w][\w.-]*/[\w][\w.-]*", re.ASCII)
_NO_GGUF = (
    "GGUF files of this family hold the Thinker only, without the Talker that speaks, and are not read here; "
    "get the safetensors: main.py models list"
)


def checkpoint_folder(given: Path | str) -> Path:
    """The folder that holds config.json. Raises ConfigError."""
    try:
        return _found(given)
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read ({error.strerror}); look at who may read it") from error


def _found(given: Path | str) -> Path:
    path = Path(given).expanduser()
    if path.is_file():
        if path.suffix == ".gguf":
            raise ConfigError(f"{path} is a GGUF file: {_NO_GGUF}")
        raise ConfigError(f"{path} is a file; give its folder: {path.parent}")
    if not path.is_dir():
        if _HUB_NAME.fullmatch(str(given)):
            raise ConfigError(
                f"there is no folder {given}; a model of that name at a hub has to be got first: "
                f"main.py models get {given}"
            )
        raise ConfigError(f"{path} does not exist; give the folder of a published checkpoint, with its config.json")
    if (path / "config.json").is_file():
        return path
    if (path / "snapshots").is_dir():
        return _snapshot(path)
    names = sorted(item.name for item in path.iterdir())
    if any(name.endswith(".gguf") for name in names):
        raise ConfigError(f"{path} holds GGUF files: {_NO_GGUF}")
    caches = [name for name in names if name.startswith("models--")]
    if caches:
        raise ConfigError(f"{path} is a hub's cache of several models; give one of its folders, as {caches[0]}")
    inside = [name for name in names if (path / name / "config.json").is_file()]
    if inside:
        raise ConfigError(
            f"{path / 'config.json'} does not exist, but there is one in its folder: give {path / inside[0]}"
        )
    raise ConfigError(f"{path / 'config.json'} does not exist; give the folder of a published checkpoint")


def _snapshot(path: Path) -> Path:
    """The newest revision in a folder `models--OWNER--NAME` of Hugging Face's cache."""
    snapshots = sorted(item for item in (path / "snapshots").iterdir() if (item / "config.json").is_file())
    reference = path / "refs" / "main"
    if reference.is_file():
        main = path / "snapshots" / reference.read_text(encoding="utf-8", errors="replace").strip()
        if main in snapshots:
            return main
    if len(snapshots) == 1:
        return snapshots[0]
    if snapshots:
        raise ConfigError(f"{path} holds several revisions; give one of them, as {snapshots[0]}")
    raise ConfigError(f"{path} is a hub's cache without a whole model; get the model again")
