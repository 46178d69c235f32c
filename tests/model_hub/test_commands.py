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


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nothing"], cli.EXIT_NOT_FOUND, "'nothing' is no folder here, no name of the catalogue"),
        ([""], cli.EXIT_NOT_FOUND, "'' is no folder here"),
        (["flash-mini"], cli.EXIT_NOT_FOUND, "comes with Sightline"),
        (["qwen3-omni-awq", "--from", "modelscope"], cli.EXIT_NOT_FOUND, "is not at modelscope. Get it without --from"),
        (["hf:x"], cli.EXIT_NOT_FOUND, "Give OWNER/NAME"),
        (["https://huggingface.co/Qwen"], cli.EXIT_NOT_FOUND, "ends in /OWNER/NAME"),
        (["{tmp}/file"], cli.EXIT_NOT_FOUND, "is a file. Give the folder"),
        (["{tmp}/empty"], cli.EXIT_UNSUITABLE, "no safetensors. Get the safetensors"),
        (["{tmp}/gguf"], cli.EXIT_UNSUITABLE, "GGUF of this family has the Thinker without the Talker"),
        (["{hub}", "--name", "../../evil"], cli.EXIT_NOT_FOUND, "cannot be the name of a model. Use letters"),
        (["{hub}", "--name", ".hidden"], cli.EXIT_NOT_FOUND, "cannot be the name of a model. Use letters"),
        (["{hub}", "--folder", "{tmp}/file"], 1, "file cannot be used: Not a directory"),
        (["hf+http://127.0.0.1:9/a/b"], cli.EXIT_NETWORK, "does not answer (Connection refused). Look at the network"),
        (["ms+http://127.0.0.1:9/a/b"], cli.EXIT_NETWORK, "does not answer (Connection refused). Look at the network"),
    ],
    ids=lambda value: " ".join(value) or "nothing at all" if isinstance(value, list) else "",
)
def test_what_cannot_be_got_says_why_and_what_to_do(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, words: str
) -> None:
    monkeypatch.setattr("modelscope_hub._legacy_api.time.sleep", lambda _s: None)  # between its tries
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "gguf").mkdir()
    (tmp_path / "gguf" / "thinker.Q4_K.gguf").write_bytes(b"GGUF")
    given = [text.format(tmp=tmp_path, hub=hub.folder) for text in arguments]
    with pytest.raises(CommandError) as caught:
        run("get", *(given if "--folder" in given else [*given, "--folder", str(tmp_path / "models")]))
    assert words in str(caught.value)
    assert caught.value.code == code
    assert ModelStore(tmp_path / "models").models() == ()
    assert not (tmp_path.parent / "evil").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="an administrator may read everything")
@pytest.mark.parametrize("closed", ["", "config.json", "model-00003-of-00007.safetensors"])
def test_what_may_not_be_read_is_named(hub: Hub, tmp_path: Path, closed: str) -> None:
    path = hub.folder / closed
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        with pytest.raises(CommandError, match=r"cannot be read \(Permission denied\)\. Look at") as caught:
            run("get", str(hub.folder), "--folder", str(tmp_path / "models"))
    finally:
        path.chmod(mode)
    assert caught.value.code == cli.EXIT_NOT_FOUND


def test_a_command_that_there_is_not(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"There is no command 'bogus'. Commands: main.py models --help"):
        run("bogus")
    assert run("--help") == 0
    assert "quantize" in capsys.readouterr().out
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match=r"is a file\. Give the folder where models lie"):
        run("list", "--folder", str(tmp_path / "file"))
    with pytest.raises(CommandError, match="There is no model 'nope' here"):
        run("remove", "nope", "--json", "--folder", str(tmp_path / "models"))
    assert json.loads(capsys.readouterr().out)["remedy"] == "See “models list”."
