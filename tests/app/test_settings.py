"""Settings survive everything: bad values, bad files, newer versions, a full disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.settings import FILE_NAME, Settings, SettingsError, SettingsStore

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_what_was_changed_is_there_again_and_nothing_else_is_written(tmp_path: Path) -> None:
    SettingsStore(tmp_path).change({"volume": 0.5, "voice": "chelsie", "safety_phrases": ["a b"]})
    store = SettingsStore(tmp_path)
    assert store.messages == []
    assert store.settings == Settings(volume=0.5, voice="chelsie", safety_phrases=("a b",))
    assert json.loads(store.path.read_text()) == {"volume": 0.5, "voice": "chelsie", "safety_phrases": ["a b"]}
    assert list(tmp_path.iterdir()) == [store.path]


def test_keys_of_a_newer_version_are_kept(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps({"hologram": {"on": True}, "volume": 0.5}))
    SettingsStore(tmp_path).change({"volume": 0.25})
    assert json.loads((tmp_path / FILE_NAME).read_text()) == {"hologram": {"on": True}, "volume": 0.25}


@pytest.mark.parametrize("content", ["", "{", "[1]", "\x00", '{"a":' * 5000, "ÿ"])
def test_an_unreadable_file_is_set_aside_and_never_lost(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_text(content, "latin-1")
    store = SettingsStore(tmp_path)
    assert store.settings == Settings()
    assert len(store.messages) == 1
    (kept,) = tmp_path.glob("settings.unreadable-*.json")
    assert kept.read_text("latin-1") == content
    store.change({"volume": 0.5})
    assert kept.exists()


def test_one_bad_value_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps({"volume": 7, "voice": "ethan"}))
    store = SettingsStore(tmp_path)
    assert store.settings == Settings(voice="ethan")
    assert "volume is 7; expected a number from 0.0 to 1.0" in store.messages[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"volume": "loud"},
        {"volume": True},
        {"volume": float("nan")},
        {"camera_on": 1},
        {"quantize": "int3"},
        {"engine_url": "http://x"},
        {"voice": None},
        {"safety_phrases": ["..."]},
        {"safety_phrases": "abc"},
        {"nonsense": 1},
    ],
)
def test_values_that_are_not_valid_are_refused_and_change_nothing(tmp_path: Path, changes: dict[str, object]) -> None:
    store = SettingsStore(tmp_path)
    with pytest.raises(SettingsError):
        store.change(changes)
    assert store.settings == Settings()
    assert not store.path.exists()


def test_what_cannot_be_written_still_holds_for_this_run(tmp_path: Path) -> None:
    folder = tmp_path / "a file"
    folder.write_text("")
    store = SettingsStore(folder / "deeper")
    with pytest.raises(OSError, match="irectory"):
        store.change({"volume": 0.5})
    assert store.settings.volume == 0.5


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=100)
@given(st.dictionaries(st.sampled_from([*Settings.__dataclass_fields__, "other"]), JSON, max_size=6))
def test_any_json_loads(tmp_path: Path, data: dict[str, object]) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps(data))
    store = SettingsStore(tmp_path)
    assert store.settings.validated({}) == store.settings


def test_high_contrast_of_an_earlier_version_is_a_theme_now(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"high_contrast": true}')
    assert SettingsStore(tmp_path).settings.theme == "high contrast"
    (tmp_path / "settings.json").write_text('{"high_contrast": true, "theme": "dark"}')
    assert SettingsStore(tmp_path).settings.theme == "dark"
