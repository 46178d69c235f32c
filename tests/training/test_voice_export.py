"""The exported directory with random weights: every tensor in place, read by the reference without a rest."""

from pathlib import Path

import pytest
import torch

from training import config, export, text


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export")
    torch.manual_seed(0)
    export.write_checkpoint(out / "no runs", out / "flash-mini", allow_untrained=True)
    return out / "flash-mini"


def test_the_size_fits(directory: Path) -> None:
    assert (directory / "model.safetensors").stat().st_size < 60e6


def test_the_reference_reads_it_with_nothing_missing_or_left_over(directory: Path) -> None:
    from transformers import AutoTokenizer, Qwen3OmniMoeForConditionalGeneration

    model, info = Qwen3OmniMoeForConditionalGeneration.from_pretrained(directory, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    torch.testing.assert_close(
        model.thinker.get_input_embeddings().weight.float(), config.text_embedding(), rtol=0, atol=0
    )
    tokenizer = AutoTokenizer.from_pretrained(directory)
    sentence = "The blue circle<|hold|> is on the left."
    assert tokenizer(sentence)["input_ids"] == text.encode(sentence)


def test_an_untrained_half_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"training\.train_thinker"):
        export.write_checkpoint(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
