"""Settings: one JSON file in the user's configuration folder, validated, written atomically, never lost.

Keys that this version does not know are kept as they are. A file that cannot be read is set aside under another name
and the defaults are used; a single value that is not valid falls back to its default, and the message says which.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import platformdirs

from app.engine.target import fingerprint_of, header
from app.keys import Keys
from app.safety import DEFAULT_PHRASES, SafetyList
from app.tools.mcp_servers import read_entry

FILE_NAME = "settings.json"
MAX_FILE_BYTES = 1_000_000


def config_dir() -> Path:
    """The user's configuration folder for Sightline (not created)."""
    return Path(platformdirs.user_config_dir("sightline", appauthor=False))


class SettingsError(ValueError):
    """A value that is not valid; the message says what was given and what is expected."""


def _choice(*choices: str) -> dict[str, Any]:
    return {"choices": choices}


def _bounds(low: float, high: float) -> dict[str, Any]:
    return {"bounds": (low, high)}


@dataclass(frozen=True)
class Settings:
    """Every setting with its default. `validated` is the only way to change one."""

    microphone: str | None = None
    """Device name; None: the system's default."""
    speaker: str | None = None
    pictures: str = "camera:0"
    """Picture source as the picker names it; "none" for none."""
    voice: str = ""
    """"" is the checkpoint's first voice."""
    instructions: str = ""
    """"" is the default of `model.prompts`."""
    checkpoint: str = ""
    """Folder of the checkpoint; "" is the one shipped with the app."""
    quantize: str = field(default="none", metadata=_choice("none", "int8", "int4"))
    engine_url: str = ""
    """A remote engine; "" runs the local one. Sound and pictures then leave this machine."""
    engine_token: str = ""
    engine_kind: str = "auto"
    """How the remote engine is spoken to: a key of `app.dialects.registry`, or "auto"."""
    engine_model: str = ""
    engine_headers: tuple[str, ...] = ()
    """More lines of the request, "Name: value" each."""
    engine_query: str = ""
    """More parameters of the address, "name=value&..."."""
    engine_ca_file: str = ""
    """A PEM file with the authority of the engine's certificate; "": the system's authorities."""
    engine_fingerprint: str = ""
    """SHA-256 of the one certificate to trust; "": whatever an authority has signed."""
    tools: bool = True
    """The engine may call tools."""
    tools_off: tuple[str, ...] = ()
    """Names of Sightline's own tools that are not offered."""
    mcp_servers: tuple[str, ...] = ()
    """"name = command ..." or "name = https://..." each."""
    mcp_allowed: tuple[str, ...] = ()
    """Names of MCP servers' tools that may be called, "server__tool" each; all others are off."""
    microphone_on: bool = True
    camera_on: bool = True
    speech: bool = True
    """Replies are spoken (False: text only)."""
    volume: float = field(default=1.0, metadata=_bounds(0.0, 1.0))
    speech_rate: float = field(default=1.0, metadata=_bounds(0.5, 3.0))
    earcon_listening: bool = True
    earcon_thinking: bool = True
    earcon_interrupted: bool = True
    earcon_error: bool = True
    earcon_steady: bool = True
    reply_limit_s: float = field(default=60.0, metadata=_bounds(2.0, 600.0))
    keep_history: bool = True
    check_answers: bool = True
    """After an answer with a number, a text or a danger in it, look again twice; say so when the answers differ."""
    called_only: bool = False
    """Answer only what holds `wake_phrase`."""
    wake_phrase: str = "Sightline"
    detail: str = field(default="brief", metadata=_choice("brief", "normal", "full"))
    theme: str = field(default="system", metadata=_choice("system", "light", "dark", "high contrast"))
    font_scale: float = field(default=1.0, metadata=_bounds(0.5, 4.0))
    announce: str = field(default="unheard", metadata=_choice("unheard", "all"))
    """What screen readers are told: what cannot be heard otherwise, or every state and every reply."""
    push_to_talk_key: str = "F8"
    keys_everywhere: bool = True
    """Some keys work while another window has the keyboard (X11)."""
    safety_phrases: tuple[str, ...] = DEFAULT_PHRASES

    def validated(self, changes: Mapping[str, object]) -> Settings:
        """A copy with these changes. Raises SettingsError for an unknown name or a value that is not valid."""
        known = {f.name: f for f in fields(self)}
        checked: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in known:
                raise SettingsError(f"There is no setting {name!r}. Known: {', '.join(known)}.")
            checked[name] = _check(name, value, getattr(_DEFAULTS, name), known[name].metadata)
        return replace(self, **checked)


_DEFAULTS = Settings()
_LINES = frozenset({"engine_headers", "tools_off", "mcp_servers", "mcp_allowed"})
_SECRETS = frozenset({"engine_token"})
_OPTIONAL_TEXT = frozenset({"microphone", "speaker"})


def _check(name: str, value: object, default: object, metadata: Mapping[str, Any]) -> object:
    wrong = SettingsError(f"The setting {name} is {value!r}; expected {_expected(name, default, metadata)}.")
    if name == "safety_phrases":
        if not isinstance(value, (list, tuple)) or not all(isinstance(phrase, str) for phrase in value):
            raise wrong
        try:
            SafetyList(tuple(value))
        except ValueError as error:
            raise SettingsError(str(error)) from None
        return tuple(value)
    if name in _LINES:
        if not isinstance(value, (list, tuple)) or not all(isinstance(line, str) for line in value):
            raise wrong
        try:
            for line in value if name == "mcp_servers" else ():
                read_entry(line)
            for line in value if name == "engine_headers" else ():
                header(line)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        return tuple(value)
    if name == "engine_fingerprint" and isinstance(value, str):
        try:
            return fingerprint_of(value)
        except ValueError as error:
            raise SettingsError(str(error)) from None
    if name in _OPTIONAL_TEXT and value is None:
        return None
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise wrong
        return value
    if isinstance(default, float):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise wrong
        low, high = metadata["bounds"]
        if not low <= value <= high:
            raise wrong
        return float(value)
    if not isinstance(value, str) or len(value) > 20_000:
        raise wrong
    if "choices" in metadata and value not in metadata["choices"]:
        raise wrong
    if name == "engine_url" and value and not value.startswith(("ws://", "wss://")):
        raise wrong
    return value


def _expected(name: str, default: object, metadata: Mapping[str, Any]) -> str:
    if "choices" in metadata:
        return " or ".join(metadata["choices"])
    if "bounds" in metadata:
        return "a number from {} to {}".format(*metadata["bounds"])
    if name == "safety_phrases":
        return "a list of phrases"
    if name in _LINES:
        return "a list of texts"
    if name == "engine_url":
        return 'an address that begins with ws:// or wss://, or ""'
    return "true or false" if isinstance(default, bool) else "a text"


class SettingsStore:
    """Reads and writes the file. Owned by one thread (the Assistant's, after start)."""

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder if folder is not None else config_dir()) / FILE_NAME
        # A folder that was named is no user's own: nothing of it may reach the system's keyring.
        self.keys = Keys(self.path.parent, use_keyring=folder is None)
        self.messages: list[str] = []
        """What went wrong while loading, for the user."""
        self._unknown: dict[str, Any] = {}
        self.settings = self._with_key(self._load())

    def change(self, changes: Mapping[str, object]) -> Settings:
        """Validates, keeps and writes. Raises SettingsError (nothing changed) or OSError (changed, but not written)."""
        before = self.settings
        self.settings = before.validated(changes)
        self._write()
        after = self.settings
        if after.engine_url and (before.engine_url, before.engine_token) != (after.engine_url, after.engine_token):
            self.keys.put(after.engine_url, after.engine_token)
        return self.settings

    def _with_key(self, settings: Settings) -> Settings:
        """The engine's key stands apart from the settings; one that an older version left among them is moved."""
        if not settings.engine_url:
            return settings
        if not settings.engine_token:
            return replace(settings, engine_token=self.keys.get(settings.engine_url))
        self.settings = settings
        try:
            self.keys.put(settings.engine_url, settings.engine_token)
            self._write()
        except OSError as error:
            self.messages.append(f"The engine's key could not be moved out of {self.path} ({error.strerror}).")
        return settings

    def _load(self) -> Settings:
        try:
            if self.path.stat().st_size > MAX_FILE_BYTES:
                raise ValueError(f"it is longer than {MAX_FILE_BYTES} bytes")
            data = json.loads(self.path.read_text("utf-8"))
            if not isinstance(data, dict):
                raise ValueError("it holds no JSON object")
        except FileNotFoundError:
            return Settings()
        except OSError as error:
            self.messages.append(f"The settings in {self.path} cannot be read ({error.strerror}); defaults are used.")
            return Settings()
        except (ValueError, RecursionError) as error:
            self.messages.append(self._set_aside(str(error)))
            return Settings()
        if data.pop("high_contrast", False) is True:
            data.setdefault("theme", "high contrast")  # what an earlier version called it
        known = {f.name for f in fields(Settings)}
        settings = Settings()
        for name, value in data.items():
            if name not in known:
                self._unknown[name] = value
                continue
            try:
                settings = settings.validated({name: value})
            except SettingsError as error:
                self.messages.append(f"{error} The default is used.")
        return settings

    def _set_aside(self, why: str) -> str:
        aside = self.path.with_name(f"settings.unreadable-{time.time_ns()}.json")
        try:
            self.path.rename(aside)
        except OSError:
            return f"The settings in {self.path} are unreadable ({why}); defaults are used."
        return f"The settings were unreadable ({why}); they were kept as {aside} and defaults are used."

    def _write(self) -> None:
        """Only what differs from the defaults is written, so that better defaults of a later version take effect."""
        data: dict[str, Any] = dict(self._unknown)
        for f in fields(Settings):
            value = getattr(self.settings, f.name)
            if value != getattr(_DEFAULTS, f.name) and f.name not in _SECRETS:
                data[f.name] = list(value) if isinstance(value, tuple) else value
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".settings-", dir=self.path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(data, file, indent=2, ensure_ascii=False)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
