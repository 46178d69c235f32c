"""Turns of a live conversation on the model at hand: does it fit, how soon does it speak, where does the time go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from model.bench.card.steps import synchronize
from model.bench.sides import Case, hear
from model.conversation.events import ReplyDone, SpeechDelta
from model.conversation.session import Session
from model.flash import Flash
from model.network.sampling import Sampling

SPEECH_RATE_HZ = 24_000
# Random weights repeat themselves when the likeliest token is taken; drawn tokens choose other experts each time.
CHANCE = Sampling(1.0, top_k=50)
N_KERNELS = 12


@dataclass(frozen=True)
class Turn:
    """One turn, from the end of the user's speech; seconds."""

    first_token_s: float
    first_speech_s: float
    total_s: float
    speech_s: float


@dataclass(frozen=True)
class Latency:
    """Of many turns; milliseconds."""

    n_pictures: int
    n_turns: int
    first_token_p50: float
    first_token_p95: float
    first_speech_p50: float
    first_speech_p95: float
    real_time_factor: float  # of the whole reply: time to make it ÷ its speech


@dataclass(frozen=True)
class Profile:
    """One reply under the profiler."""

    total_ms: float
    busy_ms: float  # the device worked; the rest is gaps between kernels
    kernels: tuple[tuple[str, float, int], ...]  # name, ms, calls; longest first


def question(sound_s: float, n_pictures: int, n_tokens: int, n_frames: int) -> Case:
    """What is asked in each turn."""
    return Case(Path(), sound_s, n_pictures, n_tokens, n_frames, n_threads=1)


def open_session(flash: Flash, positions: int) -> Session:
    """A conversation with so much memory."""
    return Session(flash, "Be brief.", max_positions=positions, seed=0, thinker_sampling=CHANCE)


def take_turn(session: Session, case: Case) -> Turn | None:
    """A question as it is spoken, and its reply; None when the reply stayed silent.

    The user's clock is simulated: only what is late at the end of the question is waited for.
    """
    late_s = hear(session, case)
    origin = perf_counter() - late_s
    first_s = done = None
    for event in session.reply(max_tokens=case.n_tokens, max_frames=case.n_frames):
        if isinstance(event, SpeechDelta) and first_s is None:
            first_s = perf_counter() - origin
        if isinstance(event, ReplyDone):
            done = event
    total_s = perf_counter() - origin
    if done is None or first_s is None or done.stats.first_token_s is None:
        return None
    return Turn(done.stats.first_token_s + late_s, first_s, total_s, done.stats.n_samples / SPEECH_RATE_HZ)


def latency(session: Session, case: Case, n_turns: int) -> Latency:
    """Turns after two that warm up (kernels are tuned, graphs recorded)."""
    turns = [take_turn(session, case) for _ in range(n_turns + 2)][2:]
    spoken = [turn for turn in turns if turn is not None]
    if not spoken:
        raise RuntimeError("no reply was spoken; the random voice ended at once every time")
    tokens = [1000 * turn.first_token_s for turn in spoken]
    speech = [1000 * turn.first_speech_s for turn in spoken]
    return Latency(
        n_pictures=case.n_pictures,
        n_turns=len(spoken),
        first_token_p50=float(np.percentile(tokens, 50)),
        first_token_p95=float(np.percentile(tokens, 95)),
        first_speech_p50=float(np.percentile(speech, 50)),
        first_speech_p95=float(np.percentile(speech, 95)),
        real_time_factor=sum(turn.total_s for turn in spoken) / sum(turn.speech_s for turn in spoken),
    )


def profile(session: Session, case: Case) -> Profile:
    """One more turn under torch's profiler."""
    from torch.profiler import DeviceType, ProfilerActivity
    from torch.profiler import profile as torch_profile

    on_card = session.flash.device.type == "cuda"
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if on_card else [])
    hear(session, replace(case, n_pictures=0))
    synchronize(session.flash.device)
    with torch_profile(activities=activities) as recorded:
        clock = perf_counter()
        for _ in session.reply(max_tokens=case.n_tokens, max_frames=case.n_frames):
            pass
        synchronize(session.flash.device)
        total_ms = (perf_counter() - clock) * 1000
    wanted = DeviceType.CUDA if on_card else DeviceType.CPU
    spans = sorted(
        (event.time_range.start, event.time_range.end) for event in recorded.events() if event.device_type == wanted
    )
    averages = recorded.key_averages()
    times = [
        (str(row.key), (row.self_device_time_total if on_card else row.self_cpu_time_total) / 1000, int(row.count))
        for row in averages
    ]
    longest = sorted(times, key=lambda row: -row[1])[:N_KERNELS]
    return Profile(total_ms, union_ms(spans), tuple(longest))


def union_ms(spans: Sequence[tuple[float, float]]) -> float:
    """Time covered by spans in microseconds, sorted by their starts; overlaps count once."""
    covered, end = 0.0, float("-inf")
    for start, stop in spans:
        covered += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return covered / 1000


def peak_bytes(device: torch.device) -> dict[str, int]:
    """The most memory of the card that was in use; empty on a CPU."""
    if device.type != "cuda":
        return {}
    return {
        "allocated": torch.cuda.max_memory_allocated(device),
        "reserved": torch.cuda.max_memory_reserved(device),
    }
