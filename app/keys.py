"""Keys and tokens: in the system's keyring where there is one, else in a file that only the user may read.

The keyring is asked on the calling thread and may take a moment (it can ask the user to unlock it): once
when the app starts, and when a key is entered.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

log = logging.getLogger(__name__)

SERVICE = "sightline"
FILE_NAME = "keys.json"
MAX_FILE_BYTES = 100_000


class Keys:
    """`folder` is where the file is when it is needed. `use_keyring` False: the file only."""

    def __init__(self, folder: Path, use_keyring: bool = True) -> None:
        self.path = folder / FILE_NAME
        self._backend = _backend() if use_keyring else None

    @property
    def where(self) -> str:
        """For people: where keys are kept."""
        return "the system's keyring" if self._backend is not None else str(self.path)

    def get(self, name: str) -> str:
        """ "" when there is none."""
        if self._backend is not None:
            try:
                return self._backend.get_password(SERVICE, name) or self._read().get(name, "")
            except Exception as error:  # noqa: BLE001  # backends raise what their systems do
                log.warning("the keyring cannot be read: %r", error)
        return self._read().get(name, "")

    def put(self, name: str, value: str) -> None:
        """ "" removes it. Raises OSError when neither keyring nor file takes it."""
        if self._backend is not None and self._put_in_keyring(name, value):
            value = ""  # not in both
        kept = self._read()
        if kept.get(name, "") == value:
            return
        kept.pop(name, None)
        if value:
            kept[name] = value
        self._write(kept)

    def _put_in_keyring(self, name: str, value: str) -> bool:
        assert self._backend is not None
        try:
            if value:
                self._backend.set_password(SERVICE, name, value)
            elif self._backend.get_password(SERVICE, name) is not None:
                self._backend.delete_password(SERVICE, name)
        except Exception as error:  # noqa: BLE001  # as above
            log.warning("the keyring takes no key: %r", error)
            return False
        return True

    def _read(self) -> dict[str, str]:
        try:
            if self.path.stat().st_size > MAX_FILE_BYTES:
                return {}
            data = json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(data, dict):
            return {}
        return {name: value for name, value in data.items() if isinstance(value, str)}

    def _write(self, kept: dict[str, str]) -> None:
        """Atomically, and never readable by others: a new file of this kind has mode 600 from its first moment."""
        if not kept:
            self.path.unlink(missing_ok=True)
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".keys-", dir=self.path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(kept, file, indent=2)
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _backend() -> KeyringBackend | None:
    """The system's keyring, when it is one that keeps secrets."""
    try:
        import keyring
        from keyring.backends import fail, null

        backend = keyring.get_keyring()
    except Exception as error:  # noqa: BLE001  # as above
        log.info("there is no keyring: %r", error)
        return None
    return None if isinstance(backend, (fail.Keyring, null.Keyring)) or backend.priority < 1 else backend
