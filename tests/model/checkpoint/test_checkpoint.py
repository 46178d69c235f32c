"""The loader: every tensor accounted for, every fault named before anything runs, memory near the weights."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from model.checkpoint.config import load_config, parse_config
from model.checkpoint.files import Checkpoint
from model.checkpoint.tensors import count_parameters, expected_tensors
from model.errors import CheckpointError, ConfigError
from model.flash import Flash, build, load
from model.network.filling import check_filled
from tests.model.oracle import make_checkpoint
from tests.model.talk import greedy_session, noise, say

REFERENCE_CONFIG = Path(__file__).parents[1] / "data" / "qwen3_omni_30b_a3b.config.json"


@pytest.fixture
def broken(checkpoint_of: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint to damage."""
    return Path(shutil.copytree(checkpoint_of("plain"), tmp_path / "copy"))


def rewrite(directory: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    file = directory / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
    change(tensors)
    save_file(tensors, file)


def test_the_published_checkpoint_has_28010_tensors() -> None:
    tensors = expected_tensors(parse_config(json.loads(REFERENCE_CONFIG.read_text())))
    assert len(tensors) == 28_010
    assert count_parameters(tensors) == 35_259_818_545


def test_the_published_model_builds_on_meta() -> None:
    parts = build(parse_config(json.loads(REFERENCE_CONFIG.read_text())))
    parameters = [parameter for module in parts.modules() for parameter in module.parameters()]
    assert all(parameter.is_meta for parameter in parameters)
    assert sum(parameter.numel() for parameter in parameters) == 35_259_818_545


def test_names_and_shapes_are_the_reference_s(checkpoint_of: Callable[[str], Path], tmp_path: Path) -> None:
    """What the reference saves of this model is exactly what we expect to find."""
    from tests.model.oracle import Reference

    for variant in ("plain", "dense"):
        directory = checkpoint_of(variant)
        saved = tmp_path / variant
        Reference(directory).model.save_pretrained(saved)
        config = load_config(saved)  # in the reference's newer form
        assert config == load_config(directory)
        Checkpoint(saved).verify(expected_tensors(config))


def test_shards_load_like_one_file(tmp_path: Path) -> None:
    one = load(make_checkpoint(tmp_path / "one", "plain"), device="cpu")
    many = load(make_checkpoint(tmp_path / "many", "plain", n_shards=4), device="cpu")
    sessions = [greedy_session(flash) for flash in (one, many)]
    for session in sessions:
        session.hear(noise(1.0))
    assert say(sessions[0]).tokens == say(sessions[1]).tokens


def test_missing_tensor(broken: Path) -> None:
    name = "thinker.model.layers.1.mlp.experts.3.up_proj.weight"
    rewrite(broken, lambda tensors: tensors.pop(name))
    with pytest.raises(CheckpointError, match=r"missing.*experts\.3\.up_proj"):
        load(broken)


def test_extra_tensor(broken: Path) -> None:
    rewrite(broken, lambda tensors: tensors.update({"talker.surprise": torch.zeros(2)}))
    with pytest.raises(CheckpointError, match=r"talker\.surprise.*model\.safetensors"):
        load(broken)


def test_misshapen_tensor(broken: Path) -> None:
    name = "thinker.lm_head.weight"
    rewrite(broken, lambda tensors: tensors.update({name: tensors[name][:-1].clone()}))
    with pytest.raises(CheckpointError, match=r"model\.safetensors.*lm_head"):
        load(broken)


def test_integer_weights(broken: Path) -> None:
    name = "thinker.model.norm.weight"
    rewrite(broken, lambda tensors: tensors.update({name: tensors[name].to(torch.int32)}))
    with pytest.raises(CheckpointError, match=r"model\.norm\.weight.*int32"):
        load(broken)


@given(share=st.floats(0.0, 0.999))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_truncated_file(checkpoint_of: Callable[[str], Path], tmp_path: Path, share: float) -> None:
    directory = Path(shutil.copytree(checkpoint_of("plain"), tmp_path / "cut", dirs_exist_ok=True))
    file = directory / "model.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load(directory)


@given(position=st.integers(0, 2000), byte=st.integers(0, 255))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_header(checkpoint_of: Callable[[str], Path], tmp_path: Path, position: int, byte: int) -> None:
    """Whatever byte of the header is hit: an error of ours, or a model that is complete all the same."""
    directory = Path(shutil.copytree(checkpoint_of("plain"), tmp_path / "hit", dirs_exist_ok=True))
    file = directory / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[position] = byte
    file.write_bytes(data)
    with suppress(CheckpointError):  # any other exception fails the test
        checkpoint = Checkpoint(directory)
        checkpoint.verify(expected_tensors(load_config(directory)))


def test_pickle_is_refused(broken: Path) -> None:
    (broken / "model.safetensors").unlink()
    torch.save({"a": torch.zeros(2)}, broken / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin, a pickle"):
        load(broken)
    (broken / "pytorch_model.bin").rename(broken / "model.safetensors")
    with pytest.raises(CheckpointError, match="is a pickle"):
        load(broken)


def test_index_that_leads_out_of_the_directory(broken: Path) -> None:
    index = {"weight_map": {"thinker.lm_head.weight": "../model.safetensors"}}
    (broken / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"expected a safetensors file in this directory"):
        load(broken)


def test_missing_shard(tmp_path: Path) -> None:
    directory = make_checkpoint(tmp_path, "plain", n_shards=3)
    (directory / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(CheckpointError, match="model-00002"):
        load(directory)


def test_missing_parts(tmp_path: Path, broken: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.json does not exist"):
        load(tmp_path)
    with pytest.raises(ConfigError, match=r"config\.json"):
        load(tmp_path / "nowhere")
    (broken / "tokenizer.json").unlink()
    with pytest.raises((ConfigError, CheckpointError), match=r"vocab|tokenizer"):
        load(broken)


def test_config_of_another_size(broken: Path) -> None:
    config = json.loads((broken / "config.json").read_text())
    config["talker_config"]["text_config"]["num_experts"] = 7
    (broken / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"experts\.6"):
        load(broken)


def test_nothing_is_left_on_meta(flash: Flash) -> None:
    check_filled(flash.thinker)
    with pytest.raises(CheckpointError, match="not filled"):
        check_filled(build(flash.config).thinker)


PEAK_SCRIPT = """
import re, sys
from pathlib import Path
import torch
from model.flash import load
torch.set_num_threads(1)
load(sys.argv[1], device="cpu")  # imports and first allocations are not counted
def status(field):
    return int(re.search(field + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
flash = load(sys.argv[2], device="cpu")
print(status("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_peak_memory_is_near_the_weights(checkpoint_of: Callable[[str], Path], tmp_path: Path) -> None:
    from model.bench.random_checkpoint import write_random_checkpoint
    from model.bench.random_config import make_tokenizer, random_config

    tokenizer = make_tokenizer()
    thinker = {"hidden_size": 512, "num_hidden_layers": 6, "num_experts": 12, "moe_intermediate_size": 384}
    config = random_config(tokenizer, thinker=thinker)
    directory = write_random_checkpoint(tmp_path / "large", config, tokenizer)
    n_bytes = (directory / "model.safetensors").stat().st_size
    command = [sys.executable, "-c", PEAK_SCRIPT, str(checkpoint_of("plain")), str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert n_bytes > 150e6
    assert int(done.stdout) <= 1.15 * n_bytes
