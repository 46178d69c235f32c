"""Choosing the next token: greedy, or seeded sampling with temperature, top-k, top-p and repetition penalty."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.errors import InputError


@dataclass(frozen=True)
class Sampling:
    """How to choose; `temperature` 0 is greedy, `top_k` 0 and `top_p` 1 switch those filters off.

    The order is that of the reference: repetition penalty, suppressed ids, temperature, top-k, top-p.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise InputError(f"temperature is {self.temperature}, expected 0 (greedy) or more")
        if self.top_k < 0:
            raise InputError(f"top_k is {self.top_k}, expected 0 (off) or more")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p is {self.top_p}, expected more than 0 and at most 1 (off)")
        if not self.repetition_penalty > 0:
            raise InputError(f"repetition_penalty is {self.repetition_penalty}, expected more than 0; 1 is off")

    def greedy(self) -> Sampling:
        """The same without chance; a repetition penalty stays, as in the reference."""
        return Sampling(temperature=0.0, repetition_penalty=self.repetition_penalty)


GREEDY = Sampling(temperature=0.0)
TALKER_SAMPLING = Sampling(temperature=0.9, top_k=50, repetition_penalty=1.05)
PREDICTOR_SAMPLING = Sampling(temperature=1.0, top_k=50, top_p=0.8)


class Sampler:
    """Draws tokens from logits [V]; remembers what it drew when there is a repetition penalty.

    `suppressed` ids are never drawn. All work stays on the device of the logits.
    """

    def __init__(
        self, sampling: Sampling, vocab_size: int, generator: torch.Generator, *, suppressed: Tensor | None = None
    ) -> None:
        self.sampling = sampling
        self.generator = generator
        device = generator.device
        self._banned: Tensor | None = None
        if suppressed is not None and suppressed.numel():
            self._banned = torch.zeros(vocab_size, dtype=torch.bool, device=device)
            self._banned[suppressed.to(device)] = True
        self._drawn: Tensor | None = None
        if sampling.repetition_penalty != 1.0:
            self._drawn = torch.zeros(vocab_size, dtype=torch.bool, device=device)

    def __call__(self, logits: Tensor) -> Tensor:
        """Logits [V], float32 -> one token id [1]."""
        options = self.sampling
        if self._drawn is not None:
            penalty = options.repetition_penalty
            penalised = torch.where(logits < 0, logits * penalty, logits / penalty)
            logits = torch.where(self._drawn, penalised, logits)
        if self._banned is not None:
            logits = logits.masked_fill(self._banned, -torch.inf)
        token = logits.argmax(dim=-1, keepdim=True) if options.temperature == 0 else self._draw(logits)
        if self._drawn is not None:
            self._drawn.index_fill_(0, token, True)
        return token

    def state(self) -> list[Tensor]:
        """What a draw changes, besides the generator."""
        return [] if self._drawn is None else [self._drawn]

    def reset(self) -> None:
        """Forgets what was drawn."""
        for tensor in self.state():
            tensor.zero_()

    def _draw(self, logits: Tensor) -> Tensor:
        options = self.sampling
        logits = logits / options.temperature
        count = min(options.top_k, logits.shape[0]) or logits.shape[0]
        if count == logits.shape[0] and options.top_p == 1.0:
            return self._race(logits.softmax(dim=-1))
        values, ids = logits.topk(count)  # descending
        probabilities = values.softmax(dim=-1)
        if options.top_p < 1.0:
            before = probabilities.cumsum(dim=-1) - probabilities
            probabilities = probabilities.masked_fill(before >= options.top_p, 0.0)
        return ids[self._race(probabilities)]

    def _race(self, probabilities: Tensor) -> Tensor:
        """One index [1], drawn in proportion to `probabilities` [n]: as torch.multinomial, which waits for the device.

        Of exponential variables with rates p, the i-th is the least with probability p_i.
        """
        times = torch.empty_like(probabilities).exponential_(generator=self.generator)
        return (probabilities / times).argmax(dim=-1, keepdim=True)
