"""Sampling: the same distribution as the reference's processors, seeded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from model.errors import InputError
from model.flash import Flash
from model.network.generation import read_generation
from model.network.sampling import GREEDY, PREDICTOR_SAMPLING, TALKER_SAMPLING, Sampler, Sampling


def test_published_values() -> None:
    assert Sampling(0.9, 50, 1.0, 1.05) == TALKER_SAMPLING
    assert Sampling(1.0, 50, 0.8, 1.0) == PREDICTOR_SAMPLING


@pytest.mark.parametrize(
    ("draws", "expected"), [(None, PREDICTOR_SAMPLING), (True, PREDICTOR_SAMPLING), (False, GREEDY)]
)
def test_the_code_predictor_draws_when_the_talker_does(
    tmp_path: Path, flash: Flash, draws: bool | None, expected: Sampling
) -> None:
    values = {} if draws is None else {"talker_do_sample": draws}
    (tmp_path / "generation_config.json").write_text(json.dumps(values))
    assert read_generation(tmp_path, flash.config).predictor == expected


@given(
    seed=st.integers(0, 1000),
    temperature=st.sampled_from([0.5, 0.9, 1.3]),
    top_k=st.sampled_from([0, 3, 8, 100]),
    top_p=st.sampled_from([1.0, 0.8, 0.3]),
    penalty=st.sampled_from([1.0, 1.05, 2.0]),
)
@settings(max_examples=40, deadline=None)
def test_distribution_equals_the_reference(
    seed: int, temperature: float, top_k: int, top_p: float, penalty: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(20, generator=generator) * 3
    banned = torch.tensor([4, 11])
    history = torch.randint(0, 20, (5,), generator=generator)
    history = history[~torch.isin(history, banned)]
    scores = logits[None]
    if penalty != 1.0:
        scores = RepetitionPenaltyLogitsProcessor(penalty)(history[None], scores)
    scores = SuppressTokensLogitsProcessor(banned.tolist())(history[None], scores)
    scores = TemperatureLogitsWarper(temperature)(history[None], scores)
    if top_k:
        scores = TopKLogitsWarper(top_k)(history[None], scores)
    if top_p < 1:
        scores = TopPLogitsWarper(top_p)(history[None], scores)
    expected = scores[0].softmax(dim=-1)
    counts = torch.zeros(20)
    sampler = Sampler(Sampling(temperature, top_k, top_p, penalty), 20, generator, suppressed=banned)
    n_draws = 400
    for _ in range(n_draws):
        if sampler._drawn is not None:
            sampler._drawn[:] = False
            sampler._drawn[history] = True
        counts[sampler(logits)] += 1
    assert not counts[expected == 0].any()
    assert float((counts / n_draws - expected).abs().max()) < 0.12  # five sigma


def test_greedy_keeps_the_penalty() -> None:
    sampler = Sampler(Sampling(0.0, repetition_penalty=2.0), 3, torch.Generator())
    logits = torch.tensor([1.0, 0.9, -5.0])
    assert [int(sampler(logits)) for _ in range(3)] == [0, 1, 0]
    assert [int(Sampler(GREEDY, 3, torch.Generator())(logits)) for _ in range(2)] == [0, 0]


@pytest.mark.parametrize(
    "options", [{"temperature": -1}, {"top_k": -1}, {"top_p": 0}, {"top_p": 1.5}, {"repetition_penalty": 0}]
)
def test_bad_settings(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        Sampling(**options)  # type: ignore[arg-type]
