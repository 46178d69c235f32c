"""The vision encoder and its DeepStack features against the reference."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers.models.qwen3_omni_moe.configuration_qwen3_omni_moe import Qwen3OmniMoeVisionEncoderConfig
from transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe import Qwen3OmniMoeVisionEncoder

from model.bench.random_checkpoint import random_tensor
from model.checkpoint.config import Section, _vision
from model.errors import ConfigError, InputError
from model.network.images import Grid, Picture
from model.network.vision_encoder import VisionEncoder

CONFIGS = [
    {},
    {"num_heads": 3, "hidden_size": 48, "deepstack_visual_indexes": [1], "depth": 2, "num_position_embeddings": 9},
    {"deepstack_visual_indexes": [], "temporal_patch_size": 1, "patch_size": 8, "intermediate_size": 33},
    {"spatial_merge_size": 3, "num_position_embeddings": 2304, "deepstack_visual_indexes": [2, 0, 3]},
]


def make(changes: dict) -> tuple[Qwen3OmniMoeVisionEncoder, VisionEncoder]:
    """The reference and ours with the same random weights."""
    values = {
        "depth": 4, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 4,
        "out_hidden_size": 24, "num_position_embeddings": 64, "deepstack_visual_indexes": [0, 2],
    }  # fmt: skip
    config = Qwen3OmniMoeVisionEncoderConfig(**{**values, **changes})
    reference = Qwen3OmniMoeVisionEncoder(config).eval()
    generator = torch.Generator().manual_seed(0)
    weights = {name: random_tensor(name, value.shape, generator) for name, value in reference.state_dict().items()}
    reference.load_state_dict(weights)
    ours = VisionEncoder(_vision(Section(config.to_dict(), "vision_config")))
    ours.load_state_dict(weights)
    return reference, ours


def pictures(model: VisionEncoder, *blocks: tuple[int, int, int]) -> list[Picture]:
    """Random pictures of t temporal patches and h x w blocks."""
    config = model.config
    merge, generator = config.spatial_merge_size, torch.Generator().manual_seed(1)
    made = []
    for t, h, w in blocks:
        grid = Grid(t, h * merge, w * merge)
        shape = (grid.t * grid.h * grid.w, config.in_channels * config.temporal_patch_size * config.patch_size**2)
        made.append(Picture(torch.randn(shape, generator=generator), grid))
    return made


@pytest.mark.parametrize("changes", CONFIGS)
@pytest.mark.parametrize(
    "blocks", [[(1, 1, 1)], [(1, 3, 5)], [(2, 4, 1), (1, 2, 2)], [(1, 2, 3), (3, 3, 2), (1, 2, 3), (1, 8, 9)]]
)
def test_features_equal_the_reference(changes, blocks):
    reference, ours = make(changes)
    batch = pictures(ours, *blocks)
    grids = torch.tensor([[p.grid.t, p.grid.h, p.grid.w] for p in batch])
    with torch.no_grad():
        expected = reference(torch.cat([p.patches for p in batch]), grids)
    features = ours(batch)
    assert (torch.cat([f.embeddings for f in features]) - expected.pooler_output).abs().max() < 1e-4
    for level, part in enumerate(expected.deepstack_features):
        assert (torch.cat([f.deepstack[level] for f in features]) - part).abs().max() < 1e-4
    assert features[0].deepstack.shape[0] == len(ours.config.deepstack_visual_indexes)


def test_a_picture_among_others_is_as_alone():
    _, ours = make({})
    batch = pictures(ours, (1, 2, 3), (1, 4, 2))
    together = ours(batch)
    for picture, features in zip(batch, together, strict=True):
        (alone,) = ours([picture])
        assert (alone.embeddings - features.embeddings).abs().max() < 1e-5
        assert (alone.deepstack - features.deepstack).abs().max() < 1e-5
        assert len(alone.embeddings) == picture.grid.n_tokens(2)


def test_wrong_input_is_refused():
    _, ours = make({})
    assert ours([]) == []
    (good,) = pictures(ours, (1, 2, 2))
    with pytest.raises(InputError, match="do not match"):
        ours([Picture(good.patches[:-1], good.grid)])
    with pytest.raises(InputError, match="multiples of 2"):
        ours([Picture(good.patches[:15], Grid(1, 3, 5))])


def test_impossible_configs_are_refused():
    _, ours = make({})
    with pytest.raises(ConfigError, match="square grid"):
        VisionEncoder(replace(ours.config, num_position_embeddings=60))
    with pytest.raises(ConfigError, match="multiple of four"):
        VisionEncoder(replace(ours.config, num_heads=5))


def test_bfloat16_stays_near():
    reference, ours = make({})
    batch = pictures(ours, (1, 4, 4))
    with torch.no_grad():
        expected = reference(batch[0].patches, torch.tensor([[1, 8, 8]])).pooler_output
    (features,) = ours.to(torch.bfloat16)(batch)
    assert (features.embeddings.float() - expected).abs().mean() < 0.05 * expected.abs().mean()
