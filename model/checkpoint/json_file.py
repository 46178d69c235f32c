"""JSON files as people have them: a byte order mark is read over, and what is wrong is named with its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from model.checkpoint.config_section import Section
from model.errors import ConfigError

LARGEST_BYTES = 256 * 2**20


def read_text(path: Path, missing: str = "download it again") -> str:
    """UTF-8 text without a byte order mark. Raises ConfigError; `missing` says what to do when it is not there."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ConfigError(f"{path} has more than {LARGEST_BYTES} bytes; this is no file of a checkpoint")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist; {missing}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text; download it again") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); look at the file") from error


def read_json(path: Path, missing: str = "download it again") -> Any:
    """The parsed content. Raises ConfigError."""
    text = read_text(path, missing)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid JSON ({error}); download it again") from error


def read_section(path: Path, missing: str = "download it again") -> Section:
    """The object in a file. Raises ConfigError."""
    return Section(read_json(path, missing), str(path))
