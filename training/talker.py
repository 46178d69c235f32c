"""The Talker and its code predictor: reply text on the time axis in, codec frames out.

    python -m training.talker [--runs DIR] [--steps N] [--minutes M]

The modules are the reference's own (`transformers`). Text reaches the Talker as it will at run time: token `n` of
`training.timing` while frame `n` is made, through the Thinker's frozen embedding table. The user's turn in front is
filled with random vectors of random length, so that the voice does not hang on any particular Thinker. Two things
make the Talker follow the text instead of its own past: in 40 % of the utterances the whole codec history is hidden,
and an auxiliary head has to name the phone of the frame it is about to speak. Resumable.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from training import config, text
from training.codec import codes_of, training_parts
from training.voice_data import PHONES
from training.voice_loop import Progress, Store, learning_rate, options, require, seed_all, set_rate

PROMPT_POSITIONS = 9  # assistant header (3), pads (4), tts_bos, first text token
HIDE_HISTORY = 0.4
HIDE_FRAME = 0.1
PREDICTOR_SHARE = 0.35  # of the frames train the code predictor in each step
PHONE_WEIGHT = 0.3
AVERAGE = 0.995
_IGNORE = -100


@dataclass(frozen=True)
class Example:
    """One utterance: speaker id, token ids, codes int64 [T, groups], phone of each frame [T]."""

    speaker: int
    token_ids: list[int]
    codes: npt.NDArray[np.int64]
    phones: list[int]


@dataclass
class Batch:
    """Utterances of similar length, padded behind: [B, T, ...]; `text` is the token id that comes with a frame."""

    speaker: torch.Tensor  # [B]
    text: torch.Tensor  # [B, T + 1]
    codes: torch.Tensor  # [B, T, groups]
    first: torch.Tensor  # [B, T + 1] targets of the Talker: first codes, then CODEC_EOS, then _IGNORE
    phones: torch.Tensor  # [B, T + 1], _IGNORE behind the end


class Talker(nn.Module):
    """The reference's Talker, the Thinker's frozen text embedding and the auxiliary phone head."""

    embedding: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        from transformers.models.qwen3_omni_moe.configuration_qwen3_omni_moe import Qwen3OmniMoeTalkerConfig
        from transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe import (
            Qwen3OmniMoeTalkerForConditionalGeneration,
        )

        settings = config.talker_config()
        settings.pop("model_type")
        self.core: Any = Qwen3OmniMoeTalkerForConditionalGeneration(Qwen3OmniMoeTalkerConfig(**settings))
        self.to_phone = nn.Linear(config.HIDDEN, len(PHONES))
        self.register_buffer("embedding", config.text_embedding(), persistent=False)
        _initialise(self.core)

    def spoken_text(self, ids: torch.Tensor) -> torch.Tensor:
        """Token ids [...] through embedding and text projection: [..., HIDDEN]."""
        projected: torch.Tensor = self.core.text_projection(F.embedding(ids, self.embedding))
        return projected

    def prompt(self, speaker: torch.Tensor, first_text: torch.Tensor) -> torch.Tensor:
        """The assistant's part of the Talker's prompt for [B] speakers and first text tokens: [B, 9, HIDDEN]."""
        batch, device = len(speaker), speaker.device
        fixed = [text.IM_START, text.ASSISTANT, text.NEWLINE, *[text.TTS_PAD] * 4, text.TTS_BOS]
        ids = torch.cat([torch.tensor(fixed, device=device).expand(batch, -1), first_text[:, None]], 1)
        control = [config.CODEC_NOTHINK, config.CODEC_THINK_BOS, config.CODEC_THINK_EOS, 0]
        control += [config.CODEC_PAD, config.CODEC_BOS]
        codec = torch.tensor(control, device=device).repeat(batch, 1)
        codec[:, 3] = speaker
        codec_embeds = F.pad(self.core.model.codec_embedding(codec), (0, 0, 3, 0))  # [B, 9, HIDDEN]
        return self.spoken_text(ids) + codec_embeds

    def code_embeds(self, codes: torch.Tensor) -> torch.Tensor:
        """Sum of the embeddings of a frame's codes [..., groups]: [..., HIDDEN]."""
        total: torch.Tensor = self.core.model.codec_embedding(codes[..., 0])
        for group, table in enumerate(self.core.code_predictor.model.codec_embedding, 1):
            total = total + table(codes[..., group])
        return total

    def user_turn(self, batch: int, length: int, generator: torch.Generator) -> torch.Tensor:
        """A user's turn of random content: [B, length, HIDDEN]; half of it as if from sound or pictures."""
        if length == 0:
            return torch.zeros(batch, 0, config.HIDDEN, device=self.embedding.device)
        device = self.embedding.device
        ids = torch.randint(0, text.VOCAB_SIZE, (batch, length), generator=generator).to(device)
        scale = torch.rand(batch, 1, 1, generator=generator).to(device) * 4
        hidden = torch.randn(batch, length, config.HIDDEN, generator=generator).to(device) * scale
        seen = (torch.rand(batch, length, 1, generator=generator) < 0.5).to(device)
        turn = torch.where(seen, self.core.hidden_projection(hidden), self.spoken_text(ids))
        return turn

    def hidden_states(self, embeds: torch.Tensor) -> torch.Tensor:
        """Decoder output after the last norm for [B, T, HIDDEN] inputs."""
        positions = torch.arange(embeds.shape[1], device=embeds.device).expand(3, embeds.shape[0], -1)
        out: torch.Tensor = self.core.model(
            inputs_embeds=embeds, position_ids=positions, use_cache=False
        ).last_hidden_state
        return out

    def residual_logits(self, hidden: torch.Tensor, codes: torch.Tensor) -> list[torch.Tensor]:
        """Logits of codes 2.. for frames [N]: hidden [N, HIDDEN], codes [N, groups] (the last is not read)."""
        predictor = self.core.code_predictor
        parts = [hidden, self.core.model.codec_embedding(codes[:, 0])]
        parts += [table(codes[:, n + 1]) for n, table in enumerate(list(predictor.model.codec_embedding)[:-1])]
        out = predictor.model(inputs_embeds=torch.stack(parts, 1), use_cache=False).last_hidden_state
        return [head(out[:, n + 1]) for n, head in enumerate(predictor.lm_head)]


def _initialise(core: Any) -> None:
    """Scales at which a small model starts to learn at once (0.02 everywhere is too small for these widths)."""
    with torch.no_grad():
        for name, parameter in core.named_parameters():
            if parameter.dim() < 2:
                continue
            if "codec_embedding" in name:
                parameter.normal_(0, 0.5)
            elif "projection" in name:
                parameter.normal_(0, 1.6 * parameter.shape[-1] ** -0.5)
            elif name.endswith("gate.weight"):
                parameter.normal_(0, 0.02)
            else:
                scale = 0.4 if ("o_proj" in name or "down_proj" in name) else 0.9
                parameter.normal_(0, scale * parameter.shape[-1] ** -0.5)


def examples_of(runs: Path, name: str) -> list[Example]:
    """Every utterance of a part with its codes."""
    from training.voice_data import load_part

    codes = codes_of(runs, name)
    return [
        Example(
            config.SPEAKERS[record.speaker],
            record.token_ids,
            codes[record.first_frame : record.first_frame + record.n_frames].astype(np.int64),
            record.phones,
        )
        for record in load_part(runs, name).records
    ]


def collate(examples: list[Example], device: str) -> Batch:
    """Pad to the longest, rounded up to a multiple of 8 frames."""
    longest = -(-max(len(e.codes) for e in examples) // 8) * 8
    batch = len(examples)
    texts = np.full((batch, longest + 1), text.TTS_PAD, np.int64)
    codes = np.zeros((batch, longest, config.CODE_GROUPS), np.int64)
    first = np.full((batch, longest + 1), _IGNORE, np.int64)
    phones = np.full((batch, longest + 1), _IGNORE, np.int64)
    for row, example in enumerate(examples):
        n, n_text = len(example.codes), len(example.token_ids)
        texts[row, :n_text] = example.token_ids
        texts[row, n_text] = text.TTS_EOS
        codes[row, :n] = example.codes
        first[row, :n] = example.codes[:, 0]
        first[row, n] = config.CODEC_EOS
        phones[row, :n] = example.phones
    speaker = torch.tensor([example.speaker for example in examples])
    parts = (speaker, *(torch.from_numpy(x) for x in (texts, codes, first, phones)))
    return Batch(*(part.to(device) for part in parts))


def losses(model: Talker, batch: Batch, generator: torch.Generator, context: int) -> dict[str, torch.Tensor]:
    """Cross entropies of first codes, residual codes and phones, and the share of phones named right."""
    n_rows, n_frames = batch.codes.shape[:2]
    device = batch.codes.device
    history = model.code_embeds(batch.codes)  # [B, T, HIDDEN]
    kept = (torch.rand(n_rows, 1, 1, generator=generator) >= HIDE_HISTORY) & (
        torch.rand(n_rows, n_frames, 1, generator=generator) >= HIDE_FRAME
    )
    history = history * kept.to(device)
    frames = history + model.spoken_text(batch.text[:, 1:])
    embeds = torch.cat(
        [model.user_turn(n_rows, context, generator), model.prompt(batch.speaker, batch.text[:, 0]), frames], 1
    )
    hidden = model.hidden_states(embeds)[:, context + PROMPT_POSITIONS - 1 :]  # [B, T + 1, HIDDEN]
    logits = F.linear(hidden, model.core.codec_head.weight[: config.CODEC_EOS + 1])  # no id above it is ever a target
    out = {"first": F.cross_entropy(logits.flatten(0, 1).float(), batch.first.flatten(), ignore_index=_IGNORE)}
    phone_logits = model.to_phone(hidden)
    out["phone"] = F.cross_entropy(phone_logits.flatten(0, 1).float(), batch.phones.flatten(), ignore_index=_IGNORE)
    known = batch.phones != _IGNORE
    out["phone_right"] = (phone_logits.argmax(-1) == batch.phones)[known].float().mean()
    spoken = known[:, :n_frames].flatten()
    chosen = spoken & (torch.rand(len(spoken), generator=generator) < PREDICTOR_SHARE).to(device)
    index = chosen.nonzero().flatten()
    index = index[: max(64, len(index) // 64 * 64)]  # few different shapes: each new one is compiled
    codes = batch.codes.flatten(0, 1)[index]
    residual = model.residual_logits(hidden[:, :n_frames].flatten(0, 1)[index], codes)
    out["residual"] = torch.stack(
        [F.cross_entropy(logit.float(), codes[:, n + 1]) for n, logit in enumerate(residual)]
    ).mean()
    return out


def load_talker(runs: Path, *, averaged: bool = True) -> Talker:
    """The trained Talker (by default the moving average of its weights)."""
    path = require(runs / "talker" / "state.pt", "python -m training.talker")
    state = torch.load(path, map_location="cpu", weights_only=True)
    model = Talker()
    model.load_state_dict(state["average" if averaged else "model"])
    return model.eval()


@torch.no_grad()
def generate(model: Talker, token_ids: list[list[int]], speakers: list[int], *, context: int = 0) -> list[torch.Tensor]:
    """Greedy codes of replies (a batch): for each [T, groups], cut at its end of speech."""
    from transformers import DynamicCache

    device = model.embedding.device
    n_rows, limit = len(token_ids), int(max(len(ids) for ids in token_ids) * 1.3) + 25
    texts = torch.full((n_rows, limit + 1), text.TTS_PAD, device=device)
    for row, ids in enumerate(token_ids):
        texts[row, : len(ids)] = torch.tensor(ids, device=device)
        texts[row, len(ids)] = text.TTS_EOS
    generator = torch.Generator().manual_seed(1)
    prompt = model.prompt(torch.tensor(speakers, device=device), texts[:, 0])
    embeds = torch.cat([model.user_turn(n_rows, context, generator), prompt], 1)
    cache = DynamicCache(config=model.core.config.text_config)
    done = torch.zeros(n_rows, dtype=torch.bool, device=device)
    lengths = torch.full((n_rows,), limit, device=device)
    frames: list[torch.Tensor] = []
    position = 0
    for frame in range(limit):
        positions = torch.arange(position, position + embeds.shape[1], device=device).expand(3, n_rows, -1)
        out = model.core.model(inputs_embeds=embeds, position_ids=positions, past_key_values=cache, use_cache=True)
        position += embeds.shape[1]
        hidden = out.last_hidden_state[:, -1]
        logits = model.core.codec_head(hidden)
        logits[:, config.CODEBOOK_SIZE : config.CODEC_EOS] = -torch.inf
        logits[:, config.CODEC_EOS + 1 :] = -torch.inf
        first = logits.argmax(-1)
        ended = (first == config.CODEC_EOS) & ~done
        lengths[ended] = frame
        done |= ended
        if bool(done.all()):
            break
        codes = torch.zeros(n_rows, config.CODE_GROUPS, dtype=torch.long, device=device)
        codes[:, 0] = first.clamp_max(config.CODEBOOK_SIZE - 1)
        for group in range(1, config.CODE_GROUPS):
            codes[:, group] = model.residual_logits(hidden, codes)[group - 1].argmax(-1)
        frames.append(codes)
        embeds = (model.code_embeds(codes) + model.spoken_text(texts[:, frame + 1]))[:, None]
    stacked = torch.stack(frames, 1)  # [B, T, groups]
    return [stacked[row, : int(lengths[row])] for row in range(n_rows)]


def _batches(groups: list[list[Example]], shares: list[float], size: int, rng: np.random.Generator) -> list[Example]:
    """One batch of utterances of similar length from one part."""
    group = groups[rng.choice(len(groups), p=shares)]
    start = int(rng.integers(max(1, len(group) - 4 * size)))
    pool = group[start : start + 4 * size]
    return [pool[n] for n in rng.choice(len(pool), min(size, len(pool)), replace=False)]


def main() -> None:
    """Train up to --steps (or until --minutes are over; then the learning rate has followed the clock)."""
    chosen = options(__doc__ or "", steps=4000, batch=24, rate=1.2e-3, minutes=0.0, domain_share=0.6)
    seed_all(chosen.seed)
    named = {name: examples_of(chosen.runs, name) for name in training_parts(chosen.runs)}
    groups = [sorted(group, key=lambda e: len(e.codes)) for group in named.values()]
    in_domain = [name.startswith("domain") for name in named]
    weights = [
        len(group) * (chosen.domain_share if inside else 1 - chosen.domain_share)
        / max(1, sum(len(g) for g, i in zip(groups, in_domain, strict=True) if i == inside))
        for group, inside in zip(groups, in_domain, strict=True)
    ]  # fmt: skip
    shares = [weight / sum(weights) for weight in weights]
    model = Talker().to(chosen.device)
    average = {key: value.clone() for key, value in model.state_dict().items()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=chosen.rate, betas=(0.9, 0.98), weight_decay=0.02, fused=True)
    store = Store(chosen.runs, "talker")
    step = 0
    if (state := store.load(chosen.device)) is not None:
        model.load_state_dict(state["model"])
        average = state["average"]
        optimiser.load_state_dict(state["optimiser"])
        step = int(state["step"])
    print(f"{sum(p.numel() for p in model.core.parameters()) / 1e6:.2f} M parameters, from step {step}", flush=True)
    print({name: (len(group), round(share, 2)) for (name, group), share in zip(named.items(), shares, strict=True)})
    rng = np.random.default_rng([chosen.seed, step])
    generator = torch.Generator().manual_seed(chosen.seed + step)
    sums: dict[str, float] = {}
    progress = Progress(step, chosen.steps, chosen.minutes)
    while (done := progress.at(step)) < 1:
        rate = learning_rate(step, done, chosen.rate)
        set_rate(optimiser, rate)
        context = int(rng.integers(0, 81)) // 8 * 8 if rng.random() < 0.15 else int(rng.integers(0, 2)) * 8
        batch = collate(_batches(groups, shares, chosen.batch, rng), chosen.device)
        out = losses(model, batch, generator, context)
        loss = out["first"] + out["residual"] + PHONE_WEIGHT * out["phone"]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        decay = min(AVERAGE, (1 + step) / (10 + step))
        with torch.no_grad():
            for key, value in model.state_dict().items():
                average[key].lerp_(value, 1 - decay) if value.is_floating_point() else average[key].copy_(value)
        for key, value in out.items():
            sums[key] = sums.get(key, 0.0) + float(value)
        if step % 25 == 0:
            store.log(step, **{key: value / 25 for key, value in sums.items()}, rate=rate * 1000)
            sums = {}
        if store.due():
            _save(store, model, average, optimiser, step)
    _save(store, model, average, optimiser, step)


def _save(
    store: Store, model: Talker, average: dict[str, torch.Tensor], optimiser: torch.optim.Optimizer, step: int
) -> None:
    store.save({"model": model.state_dict(), "average": average, "optimiser": optimiser.state_dict(), "step": step})


if __name__ == "__main__":
    main()
