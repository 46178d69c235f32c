"""Voice detectors that say what the sound's first sample says: the state machine is examined, not the detectors."""

from __future__ import annotations

from audio_io.blocks import Samples


class ScriptedQuick:
    def is_speech(self, samples: Samples) -> bool:
        return bool(samples[0] > 0.25)

    def reset(self) -> None: ...


class ScriptedNeural:
    def probability(self, samples: Samples) -> float:
        return float(samples[0])

    def reset(self) -> None: ...


class MeanJudge:
    """Judges by the mean of all that was said."""

    def completeness(self, samples: Samples) -> float:
        return float(samples.mean())
