"""Pictures against the reference's image processor, pixel for pixel."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil, smart_resize

from model.checkpoint.config import VisionConfig
from model.errors import ConfigError, InputError
from model.network import images

SETTINGS = images.ImageSettings(
    patch_size=16, merge_size=2, temporal_patch_size=2, min_pixels=32 * 32, max_pixels=256 * 256
)


def vision_config(**changes: int) -> VisionConfig:
    values: dict = {
        "depth": 1, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "in_channels": 3, "patch_size": 16,
        "spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 32, "num_position_embeddings": 16,
    }  # fmt: skip
    return VisionConfig(hidden_act="gelu_pytorch_tanh", deepstack_visual_indexes=(0,), **{**values, **changes})


def picture(height: int, width: int, seed: int = 0, *, smooth: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if smooth:
        y, x = np.mgrid[:height, :width]
        waves = np.stack([np.sin(x / 9 + k) + np.cos(y / (5 + k)) for k in range(3)], axis=-1)
        return ((waves + 2) / 4 * 255).astype(np.uint8)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def pillow_resize(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    """Columns first in every version of Pillow (13 would take the rows first for some shapes)."""
    wide = Image.fromarray(rgb).resize((width, rgb.shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(wide.resize((width, height), Image.Resampling.BICUBIC))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 120), st.integers(1, 120), st.integers(1, 160), st.integers(1, 160), st.integers(0, 9), st.booleans()
)
def test_resize_is_pillows_bicubic_bit_for_bit(height, width, new_height, new_width, seed, smooth):
    rgb = picture(height, width, seed, smooth=smooth)
    np.testing.assert_array_equal(images.resize(rgb, new_height, new_width), pillow_resize(rgb, new_height, new_width))


def test_a_read_only_picture_is_resized_like_any_other():
    rgb = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    expected = images.resize(rgb, 20, 30)
    rgb.flags.writeable = False
    assert np.array_equal(images.resize(rgb, 20, 30), expected)


@pytest.mark.parametrize("size", [(480, 640), (333, 517), (1080, 1920), (31, 400), (64, 48)])
def test_resize_of_camera_sizes(size):
    rgb = picture(*size, smooth=True)
    np.testing.assert_array_equal(images.resize(rgb, 224, 320), pillow_resize(rgb, 224, 320))


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([28, 32]), st.sampled_from([56 * 56, 128 * 1024]))
def test_sizes_are_the_references(height, width, factor, min_pixels):
    limits = {"factor": factor, "min_pixels": min_pixels, "max_pixels": 28 * 28 * 1280}
    if max(height, width) / min(height, width) > images.MAX_ASPECT_RATIO:
        with pytest.raises(InputError, match="crop it"):
            images.smart_size(height, width, **limits)
    else:
        assert images.smart_size(height, width, **limits) == smart_resize(height, width, **limits)


@pytest.mark.parametrize("size", [(64, 64), (96, 37), (480, 640), (17, 23), (192, 211)])
def test_patches_are_the_references(size):
    rgb = picture(*size, smooth=True)
    processor = Qwen2VLImageProcessorPil(
        patch_size=16, merge_size=2, temporal_patch_size=2, size={"shortest_edge": 32 * 32, "longest_edge": 256 * 256}
    )
    expected = processor(images=[Image.fromarray(rgb)], return_tensors="pt")
    ours = images.preprocess(rgb, SETTINGS)
    assert [ours.grid.t, ours.grid.h, ours.grid.w] == expected["image_grid_thw"][0].tolist()
    assert ours.patches.shape == expected["pixel_values"].shape
    assert (ours.patches - expected["pixel_values"]).abs().max() < 1e-5
    assert ours.grid.n_tokens(2) == ours.patches.shape[0] // 4


def test_frames_fill_temporal_patches_in_turn_and_the_last_is_repeated():
    frames = [picture(64, 96, seed) for seed in range(3)]
    video = images.patchify(frames, SETTINGS)
    assert video.grid == images.Grid(2, 4, 6)
    first, last = video.patches.view(2, 24, 3, 2, 16, 16)
    for part, pair in ((first, frames[:2]), (last, [frames[2], frames[2]])):
        for slot, frame in enumerate(pair):
            alone = images.patchify([frame], SETTINGS).patches.view(24, 3, 2, 16, 16)
            assert (part[:, :, slot] == alone[:, :, slot]).all()


def test_settings_come_from_the_checkpoint(tmp_path: Path):
    config = vision_config()
    with pytest.raises(ConfigError, match="holds neither preprocessor_config"):
        images.ImageSettings.load(tmp_path, config)  # defaults would turn every colour
    file = tmp_path / "preprocessor_config.json"
    file.write_text(
        json.dumps({"min_pixels": 3136, "max_pixels": 12845056, "image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    )
    loaded = images.ImageSettings.load(tmp_path, config)
    assert (loaded.min_pixels, loaded.max_pixels, loaded.mean) == (3136, 12845056, (0.5, 0.5, 0.5))
    file.write_text(json.dumps({"patch_size": 14}))
    with pytest.raises(ConfigError, match="patch_size is 14"):
        images.ImageSettings.load(tmp_path, config)
    file.write_text("{")
    with pytest.raises(ConfigError, match="not valid JSON"):
        images.ImageSettings.load(tmp_path, config)


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)]
)
def test_other_than_rgb_bytes_is_refused(wrong):
    with pytest.raises(InputError, match="expected uint8"):
        images.preprocess(wrong, SETTINGS)


def test_an_empty_picture_is_refused():
    with pytest.raises(InputError, match="at least one pixel"):
        images.preprocess(np.zeros((0, 4, 3), np.uint8), SETTINGS)
