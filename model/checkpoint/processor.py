"""How pictures and sound are prepared: preprocessor_config.json, or processor_config.json of newer checkpoints.

Neither is refused: defaults of a processor class suit no published checkpoint, and wrong ones turn every colour.
"""

from __future__ import annotations

from pathlib import Path

from model.checkpoint.config_section import Section
from model.checkpoint.json_file import read_section
from model.errors import ConfigError

OLD_FILE = "preprocessor_config.json"
NEW_FILE = "processor_config.json"


def picture_section(directory: Path | str) -> Section:
    """What the checkpoint says about pictures; null fields are left out. Raises ConfigError."""
    return _section(Path(directory), "image_processor")


def sound_section(directory: Path | str) -> Section:
    """What the checkpoint says about sound. Raises ConfigError."""
    return _section(Path(directory), "feature_extractor")


def _section(directory: Path, part: str) -> Section:
    old, new = directory / OLD_FILE, directory / NEW_FILE
    if old.exists():
        return read_section(old).without_nulls()
    if new.exists():
        whole = read_section(new)
        if whole.has(part):
            return whole.section(part).without_nulls()
        raise ConfigError(
            f"{new}: {part!r} is missing, and there is no {OLD_FILE}; get the file published with the checkpoint"
        )
    raise ConfigError(
        f"{directory} holds neither {OLD_FILE} nor {NEW_FILE}, which say how pictures and sound are prepared; "
        "get the file published with the checkpoint"
    )
