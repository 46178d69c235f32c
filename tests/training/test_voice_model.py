"""The codec, Code2Wav and the Talker as they are trained, with random weights."""

import numpy as np
import pytest
import torch

from training import config, text, timing

pytest.importorskip("transformers", reason="the reference's classes are what is trained")


def test_fast_snakes_compute_what_the_reference_computes() -> None:
    from training.code2wav import _fast_snakes, decode_function, new_code2wav

    torch.manual_seed(0)
    model = new_code2wav()
    codes = torch.randint(0, config.CODEBOOK_SIZE, (1, config.CODE_GROUPS, 2))
    snake = model.decoder[1].block[0]
    with torch.no_grad():
        snake.alpha.normal_(0, 0.3)
        snake.beta.normal_(0, 0.3)
    decode = decode_function(model, False)
    wanted = decode(codes)
    wanted.square().sum().backward()
    gradients = [snake.alpha.grad.clone(), snake.beta.grad.clone(), model.decoder[0].conv.weight.grad.clone()]
    model.zero_grad()
    _fast_snakes(model)
    made = decode(codes)
    made.square().sum().backward()
    torch.testing.assert_close(made, wanted)
    assert made.shape[1] == 2 * config.SAMPLES_PER_CODEC_FRAME - sum_of_trims()
    for mine, theirs in zip(
        [snake.alpha.grad, snake.beta.grad, model.decoder[0].conv.weight.grad], gradients, strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)


def sum_of_trims() -> int:
    """Samples that the transposed convolutions cut off behind (kernel - stride on each side)."""
    lost, left = 0, 1
    for rate in reversed(config.code2wav_config()["upsample_rates"]):
        lost += rate * left
        left *= rate
    return lost


def test_the_quantiser_returns_to_its_own_entries() -> None:
    from training.codec import ResidualQuantiser

    torch.manual_seed(0)
    quantiser = ResidualQuantiser(2, 16, 4)
    z = torch.randn(64, 4)
    quantiser.train()
    for _ in range(30):
        quantiser(z)
    codes = quantiser.encode(z)
    error = (quantiser.decode(codes) - z).square().mean()
    assert codes.shape == (64, 2)
    assert error < 0.3 * z.square().mean()


def test_teacher_forcing_and_generation_agree() -> None:
    """Codes that generate() makes are the arg max of the training forward when that is fed the same codes."""
    from training.talker import PROMPT_POSITIONS, Talker, generate

    torch.manual_seed(0)
    model = Talker().eval()
    with torch.no_grad():
        model.core.codec_head.weight[config.CODEC_EOS].zero_()
    ids = timing.speakable_tokens("Yes.")
    (codes,) = generate(model, [ids], [config.SPEAKERS["chelsie"]])
    n = min(12, len(codes))
    texts = torch.full((1, n + 1), text.TTS_PAD)
    padded = [*ids, text.TTS_EOS][: n + 1]
    texts[0, : len(padded)] = torch.tensor(padded)
    with torch.no_grad():
        frames = model.code_embeds(codes[None, :n]) + model.spoken_text(texts[:, 1:])
        prompt = model.prompt(torch.tensor([config.SPEAKERS["chelsie"]]), texts[:, 0])
        hidden = model.hidden_states(torch.cat([prompt, frames], 1))[0, PROMPT_POSITIONS - 1 :]
        first = model.core.codec_head(hidden)[:n, : config.CODEBOOK_SIZE].argmax(-1)
        residual = torch.stack([x.argmax(-1) for x in model.residual_logits(hidden[:n], codes[:n])], 1)
    assert first.tolist() == codes[:n, 0].tolist()
    assert residual.tolist() == codes[:n, 1:].tolist()


def test_losses_flow_into_every_part() -> None:
    from training.talker import Example, Talker, collate, losses

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    ids = timing.speakable_tokens("I see a cat.")
    codes = rng.integers(0, config.CODEBOOK_SIZE, (len(ids) + 3, config.CODE_GROUPS))
    model = Talker()
    batch = collate([Example(518, ids, codes, [1] * len(codes))] * 4, "cpu")
    out = losses(model, batch, torch.Generator().manual_seed(0), context=8)
    (out["first"] + out["residual"] + out["phone"]).backward()
    without = [n for n, p in model.named_parameters() if p.grad is None]
    assert without == []
    assert int((batch.first == config.CODEC_EOS).sum()) == 4


def test_the_ear_counts_word_errors() -> None:
    from training import ear

    assert ear.words("I see 3 grey cats, at two o'clock.") == [
        "i",
        "see",
        "three",
        "gray",
        "cats",
        "at",
        "two",
        "o'clock",
    ]
    assert ear.word_errors(["a", "b", "c"], ["a", "c", "d"]) == 2
    assert ear.word_errors([], ["a"]) == 1
