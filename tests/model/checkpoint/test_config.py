"""config.json: what it must hold, and errors that name the field."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.bench.random_config import make_tokenizer, mid_config, random_config
from model.checkpoint.config import load_config, parse_config
from model.errors import ConfigError

CONFIG: dict[str, Any] = random_config(make_tokenizer())
PUBLISHED = Path(__file__).parents[1] / "data" / "qwen3_omni_30b_a3b.config.json"


def changed(path: str, value: Any) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    *sections, last = path.split(".")
    target = config
    for section in sections:
        target = target[section]
    target[last] = value
    return config


def test_published() -> None:
    config = parse_config(json.loads(PUBLISHED.read_text()))
    assert config.talker is not None
    assert config.code2wav is not None
    assert config.thinker.text.num_experts == 128
    assert config.talker.voices == ("ethan", "aiden", "chelsie")
    assert config.code2wav.samples_per_frame == 1920
    assert config.dtype == "bfloat16"


def test_sizes_of_the_benchmark() -> None:
    config = parse_config(mid_config(make_tokenizer()))
    assert config.thinker.text.num_hidden_layers >= 8
    assert config.thinker.text.hidden_size >= 512
    assert config.thinker.text.num_experts >= 16
    assert config.talker is not None
    assert config.talker.text.num_hidden_layers >= 4
    assert config.talker.num_code_groups == 16


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("model_type", "qwen2_5_omni", "model_type"),
        ("thinker_config", 5, "JSON object"),
        ("thinker_config.text_config.hidden_size", "64", "hidden_size"),
        ("thinker_config.text_config.hidden_size", True, "hidden_size"),
        ("thinker_config.text_config.num_hidden_layers", 0, "num_hidden_layers"),
        ("thinker_config.text_config.hidden_act", "relu", "hidden_act"),
        ("thinker_config.text_config.tie_word_embeddings", True, "tie_word_embeddings"),
        ("thinker_config.text_config.num_key_value_heads", 3, "kv heads"),
        ("thinker_config.text_config.num_experts_per_tok", 9, "experts per token"),
        ("thinker_config.text_config.rope_scaling", {"rope_type": "yarn"}, "rope_type"),
        ("thinker_config.text_config.rope_scaling", {"mrope_section": [4, 4, 4]}, "mrope_section"),
        ("thinker_config.audio_config.output_dim", 65, "output_dim"),
        ("thinker_config.vision_config.out_hidden_size", 65, "out_hidden_size"),
        ("talker_config.thinker_hidden_size", 65, "thinker_hidden_size"),
        ("talker_config.accept_hidden_layer", 99, "accept_hidden_layer"),
        ("talker_config.speaker_id", {}, "speaker"),
        ("talker_config.codec_eos_token_id", 5000, "codec ids"),
        ("talker_config.num_code_groups", 5, "num_code_groups"),
        ("talker_config.code_predictor_config.hidden_size", 64, "hidden_size"),
        ("talker_config.code_predictor_config.layer_types", ["sliding_attention"] * 2, "layer_types"),
        ("code2wav_config.num_quantizers", 5, "code groups"),
        ("code2wav_config.hidden_act", "gelu", "hidden_act"),
    ],
)
def test_faults_are_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(changed(path, value))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'"text"'])
def test_files_that_are_no_config(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.json"):
        load_config(tmp_path)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3000) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(
    section=st.sampled_from(
        [
            "thinker_config", "thinker_config.text_config", "thinker_config.audio_config",
            "thinker_config.vision_config", "talker_config", "talker_config.text_config",
            "talker_config.code_predictor_config", "code2wav_config",
        ]
    ),
    data=st.data(),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_any_wrong_value_is_a_config_error_or_fine(section: str, data: st.DataObject) -> None:
    target = CONFIG
    for name in section.split("."):
        target = target[name]
    field = data.draw(st.sampled_from(sorted(target)))
    with suppress(ConfigError):  # any other exception fails the test
        parse_config(changed(f"{section}.{field}", data.draw(ANY_JSON)))
