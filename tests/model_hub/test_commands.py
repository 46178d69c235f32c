"""`models get | list | remove | token` as a person or a program runs them, and what the store keeps."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from app.keys import Keys
from commands.errors import CommandError
from commands.models import cli
from model_hub.errors import NotFoundError
from model_hub.store import ModelStore
from tests.app.test_keys import Ring
from tests.model_hub.hub_server import Fault, Hub


@pytest.fixture(autouse=True)
def _as_tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is in the shards is bytes, not a model: nobody looks into them here."""
    from commands.models import getting

    monkeypatch.setattr(getting, "_inspect", lambda _folder: None)
    monkeypatch.setattr("app.keys._backend", lambda: None)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def run(*arguments: str) -> int:
    return cli.main(arguments)


@pytest.mark.slow
def test_get_list_remove(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "models")
    address = f"hf+{hub.url}/{hub.repository}"
    assert run("get", address, "--folder", folder, "--json", "--use") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0]["phase"] == "looking"
    assert events[-1] == {
        "event": "done", "path": f"{folder}/tiny--flash", "name": "tiny--flash", "fetched_bytes": hub.n_bytes_sent,
    }  # fmt: skip
    stored = json.loads((tmp_path / "config" / "sightline" / "settings.json").read_text())
    assert stored["checkpoint"] == f"{folder}/tiny--flash"
    assert run("list", "--folder", folder, "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [record["name"] for record in listed["here"]] == ["tiny--flash"]
    assert run("list", "--folder", folder) == 0
    words = capsys.readouterr().out
    assert "qwen3-omni: Qwen3-Omni 30B-A3B Instruct" in words
    assert "tiny--flash" in words
    assert run("remove", "tiny--flash", "--folder", folder) == 0
    assert "tiny--flash is removed" in capsys.readouterr().out
    assert ModelStore(tmp_path / "models").models() == ()
    with pytest.raises(CommandError, match="There is no model 'tiny--flash' here"):
        run("remove", "tiny--flash", "--folder", folder)


@pytest.mark.slow
def test_what_is_unfinished_is_listed_with_what_goes_on(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(tmp_path / "models")
    hub.faults["model-00002-of-00007.safetensors"] = Fault("corrupt")
    with pytest.raises(CommandError) as caught:
        run("get", f"hf+{hub.url}/{hub.repository}", "--folder", folder, "--json")
    assert caught.value.code == cli.EXIT_CONTENTS
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["event"] == "failed"
    assert last["remedy"]
    store = ModelStore(tmp_path / "models")
    (begun,) = store.unfinished()
    assert begun.name == "tiny--flash"
    assert run("list", "--folder", folder) == 0
    assert "tiny--flash: unfinished" in capsys.readouterr().out
    assert store.remove("tiny--flash") > 0
    assert store.unfinished() == ()


@pytest.mark.parametrize("name", ["../config", ".getting", "nothing", ""])
def test_only_models_are_removed(tmp_path: Path, name: str) -> None:
    store = ModelStore(tmp_path / "models")
    (tmp_path / "config").mkdir(exist_ok=True)
    store.root.mkdir()
    with pytest.raises(NotFoundError):
        store.remove(name)
    assert (tmp_path / "config").exists()


def test_a_token_is_kept_where_only_its_owner_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("hf_secret\n"))
    assert run("token", "hf") == 0
    keys = Keys(tmp_path / "config" / "sightline")
    assert keys.get("hub huggingface") == "hf_secret"
    if os.name == "posix":
        assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert run("token", "hf") == 0
    assert keys.get("hub huggingface") == ""


def test_a_token_goes_into_the_keyring_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Ring()
    monkeypatch.setattr("app.keys._backend", lambda: ring)
    monkeypatch.setattr(sys, "stdin", io.StringIO("hf_secret\n"))
    assert run("token", "hf") == 0
    assert ring.kept == {("sightline", "hub huggingface"): "hf_secret"}
    assert not (tmp_path / "config" / "sightline" / "keys.json").exists()


def test_what_cannot_be_got_has_its_exit_code(tmp_path: Path) -> None:
    for what, code in (("nothing", cli.EXIT_NOT_FOUND), ("hf+http://127.0.0.1:9/a/b", cli.EXIT_NETWORK)):
        with pytest.raises(CommandError) as caught:
            run("get", what, "--folder", str(tmp_path / "models"))
        assert caught.value.code == code
