"""Keys stand apart from the settings: in a keyring, or in a file that only the user may read."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend

from app.keys import Keys
from app.settings import FILE_NAME, SettingsStore

URL = "wss://box.example/v1/realtime"


class Ring(KeyringBackend):
    """A keyring in memory; `broken` refuses everything, as a locked one does."""

    priority = 5  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.broken = False

    def get_password(self, service: str, username: str) -> str | None:
        self._check()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check()
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._check()
        del self.kept[service, username]

    def _check(self) -> None:
        if self.broken:
            raise RuntimeError("locked")


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Ring:
    ring = Ring()
    monkeypatch.setattr(keyring, "get_keyring", lambda: ring)
    return ring


def test_a_file_of_mode_600(tmp_path: Path) -> None:
    keys = Keys(tmp_path, use_keyring=False)
    keys.put("a", "secret")
    assert Keys(tmp_path, use_keyring=False).get("a") == "secret"
    if sys.platform != "win32":
        assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    keys.put("a", "")
    assert keys.get("a") == ""
    assert not keys.path.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 3}', "\x00"])
def test_a_file_that_is_none_holds_no_keys(tmp_path: Path, content: str) -> None:
    keys = Keys(tmp_path, use_keyring=False)
    keys.path.write_text(content)
    assert keys.get("a") == ""


def test_the_keyring_is_used_when_there_is_one(tmp_path: Path, ring: Ring) -> None:
    keys = Keys(tmp_path)
    keys.put("a", "secret")
    assert ring.kept == {("sightline", "a"): "secret"}
    assert not keys.path.exists()
    assert keys.get("a") == "secret"
    assert "keyring" in keys.where
    keys.put("a", "")
    assert ring.kept == {}


def test_a_keyring_that_refuses_is_no_loss(tmp_path: Path, ring: Ring) -> None:
    keys = Keys(tmp_path)
    ring.broken = True
    keys.put("a", "secret")
    assert keys.get("a") == "secret"
    ring.broken = False
    keys.put("a", "secret")  # it moves
    assert not keys.path.exists()


def test_settings_keep_no_key(tmp_path: Path) -> None:
    store = SettingsStore(tmp_path)
    store.change({"engine_url": URL, "engine_token": "secret"})
    assert "secret" not in (tmp_path / FILE_NAME).read_text()
    assert SettingsStore(tmp_path).settings.engine_token == "secret"
    store.change({"engine_token": ""})
    assert SettingsStore(tmp_path).settings.engine_token == ""


def test_a_named_folder_never_reaches_the_keyring(tmp_path: Path, ring: Ring) -> None:
    SettingsStore(tmp_path).change({"engine_url": URL, "engine_token": "secret"})
    assert ring.kept == {}


def test_a_key_that_an_older_version_left_is_moved(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps({"engine_url": URL, "engine_token": "secret"}))
    assert SettingsStore(tmp_path).settings.engine_token == "secret"
    assert "secret" not in (tmp_path / FILE_NAME).read_text()
    assert SettingsStore(tmp_path).settings.engine_token == "secret"
