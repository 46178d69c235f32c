"""The index of a model in several files."""

from __future__ import annotations

import json
from pathlib import Path

from model_hub.errors import UnsuitableError


def indexed_files(path: Path) -> frozenset[str]:
    """Names of the files that hold weights. Raises UnsuitableError for an index that is none."""
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except ValueError as error:
        raise UnsuitableError(f"{path.name} is not JSON ({error}).", "The publisher's file is broken.") from error
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise UnsuitableError(f"{path.name} has no weight_map.", "The publisher's file is broken.")
    return frozenset(weight_map.values())
