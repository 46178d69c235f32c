"""Access tokens for gated repositories, in one file that only its owner may read."""

from __future__ import annotations

import json
import os
from pathlib import Path

SERVICES = ("huggingface", "modelscope")
FILE_NAME = "hub-tokens.json"


class TokenStore:
    """`folder`: the app's configuration folder. The file has mode 600 from the moment it exists."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME

    def read(self) -> dict[str, str]:
        """Tokens by service; a file that cannot be read holds none."""
        try:
            content = json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(content, dict):
            return {}
        return {name: value for name, value in content.items() if name in SERVICES and isinstance(value, str)}

    def store(self, service: str, token: str) -> None:
        """Keeps a token; an empty one is forgotten. Raises OSError."""
        tokens = self.read() | {service: token.strip()}
        text = json.dumps({name: value for name, value in tokens.items() if value})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        partial.replace(self.path)
