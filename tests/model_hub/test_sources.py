"""Addresses as people give them, and the test hub against the real clients of both services."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_hub.errors import AccessError, NotFoundError, UnsuitableError
from model_hub.files import Listing, RemoteFile, choose_files, is_wanted
from model_hub.http import Web
from model_hub.open_source import settle
from model_hub.sources import parse_address
from tests.model_hub.conftest import WANTED
from tests.model_hub.hub_server import SMALL_BYTES, Hub

ADDRESSES = {
    "Qwen/Qwen3-Omni": ("huggingface", "https://huggingface.co", "Qwen/Qwen3-Omni", ""),
    "hf:Qwen/Qwen3-Omni@abc": ("huggingface", "https://huggingface.co", "Qwen/Qwen3-Omni", "abc"),
    "ms:Qwen/Qwen3-Omni": ("modelscope", "https://modelscope.cn", "Qwen/Qwen3-Omni", ""),
    "https://huggingface.co/Qwen/Omni/tree/abc": ("huggingface", "https://huggingface.co", "Qwen/Omni", "abc"),
    "https://www.modelscope.cn/models/Qwen/Qwen3-Omni": ("modelscope", "https://modelscope.cn", "Qwen/Qwen3-Omni", ""),
    "https://mirror.example/hub/Qwen/Qwen3-Omni": ("web", "https://mirror.example/hub", "Qwen/Qwen3-Omni", ""),
    "ms+http://127.0.0.1:80/a/b": ("modelscope", "http://127.0.0.1:80", "a/b", ""),
    "hf+http://127.0.0.1:80/a/b@c": ("huggingface", "http://127.0.0.1:80", "a/b", "c"),
}  # fmt: skip


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_is_understood_and_written_back(text: str) -> None:
    address = parse_address(text)
    assert (address.service, address.place, address.repository, address.revision) == ADDRESSES[text]
    assert parse_address(address.text).repository == address.repository
    assert parse_address(address.text).service == address.service


@pytest.mark.parametrize("text", ["", "nothing", "hf:only", "https://mirror.example/one", "../up/../there", "a/b/c"])
def test_what_is_no_address_is_refused_with_what_is_one(text: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        parse_address(text)
    assert caught.value.remedy


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text("{}")
    with pytest.raises(NotFoundError, match="is a file"):
        parse_address(str(file))
    assert parse_address(str(tmp_path)).service == "folder"


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "a.py", "../config.json", "sub/config.json", ".json", "README.md"]
)
def test_only_models_files_are_wanted(name: str) -> None:
    assert not is_wanted(name)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("config.json", "model-Q8_0.gguf"), "no voice"),
        (("config.json", "pytorch_model.bin"), "pickle"),
        (("model.safetensors",), "no config.json"),
        (("README.md",), "no safetensors"),
    ],
)
def test_a_repository_without_a_model_is_refused_before_anything_comes(names: tuple[str, ...], why: str) -> None:
    listing = Listing("1", tuple(RemoteFile(name, 1, None) for name in names))
    with pytest.raises(UnsuitableError, match=why):
        choose_files(listing, "somewhere")


@pytest.mark.parametrize("prefix", ["hf+", "ms+", ""])
def test_both_services_list_the_files_with_their_checksums(hub: Hub, prefix: str) -> None:
    address, _, listing = settle(parse_address(f"{prefix}{hub.url}/{hub.repository}"), Web(), {})
    files = choose_files(listing, "hub")
    assert {file.name for file in files} == WANTED
    assert [file.is_weights for file in files] == sorted(file.is_weights for file in files)
    kinds = {file.digest.algorithm for file in files if file.digest is not None and file.n_bytes <= SMALL_BYTES}
    assert kinds == ({"sha256"} if prefix == "ms+" else {"git-sha1"})
    assert all(file.digest is not None for file in files)
    assert address.service == ("modelscope" if prefix == "ms+" else "huggingface")


def test_a_gated_repository_says_how_to_get_in(hub: Hub) -> None:
    hub.token = "secret"
    address = parse_address(f"hf+{hub.url}/{hub.repository}")
    with pytest.raises(AccessError, match="token"):
        settle(address, Web(), {})
    assert settle(address, Web(), {hub.url: "secret"})[2].files


@pytest.mark.parametrize("name", ["tiny/other", "other/flash"])
def test_a_repository_that_is_not_there(hub: Hub, name: str) -> None:
    for prefix in ("hf+", "ms+", ""):
        with pytest.raises(NotFoundError):
            settle(parse_address(f"{prefix}{hub.url}/{name}"), Web(), {})


def test_the_hub_is_what_the_real_clients_expect(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The services' own libraries, as they are, fetch everything from the test's hub: so it is a fair one for ours."""
    import huggingface_hub
    import modelscope
    from modelscope_hub.compat.snapshot_download import snapshot_download

    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    there = {path.name: path.read_bytes() for path in hub.files()}
    first = huggingface_hub.snapshot_download(
        hub.repository, endpoint=hub.url, local_dir=tmp_path / "hf", cache_dir=tmp_path / "cache"
    )
    second = snapshot_download(hub.repository, endpoint=hub.url, local_dir=str(tmp_path / "ms"))
    third = modelscope.snapshot_download(hub.repository, endpoint=hub.url, local_dir=str(tmp_path / "whole"))
    for folder in (Path(first), Path(second), Path(third)):
        assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == there
