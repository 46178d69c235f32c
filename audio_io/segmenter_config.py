"""The segmenter's times, and the same in blocks, votes and chunks."""

from __future__ import annotations

from dataclasses import dataclass

from audio_io.blocks import INSIDE_RATE_HZ, seconds_to_blocks
from audio_io.vad import NEURAL_SAMPLES, QUICK_SAMPLES


@dataclass(frozen=True)
class SegmenterConfig:
    """All in seconds; `Counts` turns them into numbers of blocks, votes and chunks, and nothing else does."""

    pre_roll_s: float = 0.4
    """Sound before the detection that belongs to the utterance: first consonants are quiet (0.3 s lost up to 40 ms)."""
    quick_window_s: float = 0.2
    quick_voiced_s: float = 0.12
    """So much of the window must be voiced for webrtcvad ..."""
    neural_window_s: float = 0.128
    neural_voiced_s: float = 0.064
    """... and so much of this window for silero."""
    start_probability: float = 0.5
    go_on_probability: float = 0.35
    """Below the start's, so that quiet words inside an utterance keep it."""
    pause_s: float = 0.2
    """Silence after which a reply may be prepared."""
    hang_s: float = 0.6
    """Without a judge, the silence that ends the utterance: shorter cuts people off, longer makes them wait."""
    hang_most_s: float = 1.2
    """The hang grows up to this for somebody whose pauses come close to it (see `_patience`)."""
    judge_s: float = 0.1
    """Silence after which the judge is asked: it knows best just after the last word, silence sounds complete."""
    patience: tuple[tuple[float, float], ...] = ((0.94, 2.0), (0.95, 0.5), (0.97, 0.22))
    """(completeness, hang): the silence that ends what the judge finds so complete; straight lines between. The step
    is where a tenth of all pauses is taken for the end, and seven of ten ends are."""
    trust: float = 0.5
    """Share of the wait beyond hang_s that a voice nobody knows yet is given; it learns (see `Segmenter`)."""
    ahead_s: float = 0.5
    """So long before the expected end a reply is prepared: it takes about that, and mostly it is taken back before."""
    shortest_voiced_s: float = 0.12
    """Less voice than this is dropped; a short "yes" has about 0.3 s."""
    sure_probability: float = 0.8
    sure_s: float = 0.09
    """A short utterance in which silero was so sure for less than this is dropped: a thump, a squeaking door."""
    short_s: float = 0.7
    """Utterances with less voice than this are judged so, and are waited for no longer than by silence alone …"""
    short_unfinished: float = 0.2
    """… but up to hang_most_s when they sound less complete than this: "What colour …" (a third of such openings and
    7 % of single words spoken by people, n = 120 and 110)."""
    drop_s: float = 0.3
    """Silence after which too little voice is dropped, so that an interrupted reply goes on soon."""
    longest_s: float = 60.0
    """An utterance is ended after this, so that memory and waiting stay bounded."""

    def __post_init__(self) -> None:
        if not 0 < self.go_on_probability <= self.start_probability < 1:
            raise ValueError(
                "expected 0 < go_on_probability <= start_probability < 1, "
                f"not {self.go_on_probability} and {self.start_probability}"
            )
        if not 0 < self.pause_s <= self.hang_s <= self.hang_most_s:
            raise ValueError(
                f"expected 0 < pause_s <= hang_s <= hang_most_s, not {self.pause_s}, {self.hang_s}, {self.hang_most_s}"
            )
        marks, hangs = [mark for mark, _ in self.patience], [hang_s for _, hang_s in self.patience]
        if marks != sorted(marks) or hangs != sorted(hangs, reverse=True) or hangs[-1] < self.judge_s:
            raise ValueError(
                f"patience must fall with growing completeness, to judge_s at the least, not {self.patience}"
            )
        if self.longest_s < 2 * self.hang_most_s:
            raise ValueError(f"longest_s must be at least twice hang_most_s ({self.hang_most_s}), not {self.longest_s}")


@dataclass(frozen=True)
class Counts:
    """A SegmenterConfig in blocks of 10 ms, votes of 20 ms and chunks of 32 ms."""

    pre_roll_blocks: int
    quick_window_votes: int
    quick_voiced_votes: int
    neural_window_chunks: int
    neural_voiced_chunks: int
    longest_blocks: int

    @classmethod
    def of(cls, config: SegmenterConfig) -> Counts:
        quick_s, neural_s = QUICK_SAMPLES / INSIDE_RATE_HZ, NEURAL_SAMPLES / INSIDE_RATE_HZ
        return cls(
            pre_roll_blocks=seconds_to_blocks(config.pre_roll_s),
            quick_window_votes=max(1, round(config.quick_window_s / quick_s)),
            quick_voiced_votes=max(1, round(config.quick_voiced_s / quick_s)),
            neural_window_chunks=max(1, round(config.neural_window_s / neural_s)),
            neural_voiced_chunks=max(1, round(config.neural_voiced_s / neural_s)),
            longest_blocks=seconds_to_blocks(config.longest_s),
        )
