"""The side of the player that runs in the device's callback. It copies, scales and counts; it never waits."""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np

from audio_io.reference import Playback
from audio_io.ring import SampleRing, Samples, StampRing

SPEECH_RING_S: Final = 1.0
EARCON_RING_S: Final = 2.0
FADE_S: Final = 0.005
"""Long enough not to click, short enough not to be heard."""
MOST_SAMPLES: Final = 16_384
"""Longest callback that is served in one piece; a device asking for more gets silence for the rest."""


class SpeakerStream:
    """One opened stream. The worker writes the rings and the flags; `callback` reads them."""

    def __init__(self, rate_hz: int, playback: Playback) -> None:
        self.rate_hz = rate_hz
        self.speech = SampleRing(round(SPEECH_RING_S * rate_hz))
        self.earcons = SampleRing(round(EARCON_RING_S * rate_hz))
        self.stamps = StampRing()
        """Position in `speech` and the time at which that sample leaves the speaker."""
        self.callbacks = 0
        self.dry_count = 0
        """Times the speech ring ran empty while `expecting`, or the device reports that it ran dry in a reply."""
        self.dry_samples = 0
        self.is_dry = False
        self.expecting = False
        """Set by the worker while a reply is under way whose end has not been written."""
        self.paused = False
        self.gain = 1.0
        self._flush_to = 0
        self._flush_count = 0
        self._playback = playback
        n_fade = max(2, round(FADE_S * rate_hz))
        self._fade_out: Samples = np.linspace(1, 0, n_fade, dtype=np.float32)[:, None]
        self._fade_in: Samples = self._fade_out[::-1].copy()
        self._mix: Samples = np.zeros((MOST_SAMPLES, 1), dtype=np.float32)
        self._extra: Samples = np.zeros((MOST_SAMPLES, 1), dtype=np.float32)
        self._flushes_done = 0
        self._silent = True

    def flush(self) -> None:
        """Worker: everything written so far is thrown away, after a short fade."""
        self._flush_to = self.speech.written
        self._flush_count += 1  # last: the callback acts on this

    def callback(self, out: Samples, n_samples: int, times: Any, status: Any) -> None:
        # PortAudio's clock differs between systems; only its differences are used.
        ahead_s = times.outputBufferDacTime - times.currentTime if times.outputBufferDacTime > 0 else 0.0
        leaves_at_s = time.monotonic() + ahead_s
        n = min(n_samples, MOST_SAMPLES)
        mix = self._mix[:n]
        if status.output_underflow and not self._silent:
            self.dry_count += 1
            self.dry_samples += n  # the device does not say how long it was; about one callback
        self.stamps.write(self.speech.read_count, leaves_at_s)
        flushes = self._flush_count
        if flushes != self._flushes_done:
            self._stop_speech(mix, self._flush_to)
            self.speech.skip_to(self._flush_to)
            self._flushes_done = flushes
        elif self.paused:
            self._stop_speech(mix, self.speech.written)
        else:
            self._speech(mix)
        if len(self.earcons):
            extra = self._extra[:n]
            k = self.earcons.read_into(extra)
            mix[:k] += extra[:k]
        mix *= self.gain
        np.clip(mix, -1.0, 1.0, out=mix)
        out[:n] = mix  # to every channel
        out[n:] = 0
        self._playback.write(mix, leaves_at_s)
        self.callbacks += 1

    def _speech(self, mix: Samples) -> None:
        k = self.speech.read_into(mix)
        mix[k:] = 0
        if self._silent and k:
            n_fade = min(len(self._fade_in), k)
            mix[:n_fade] *= self._fade_in[:n_fade]
        dry = k < len(mix) and self.expecting
        if dry:
            self.dry_count += not self.is_dry
            self.dry_samples += len(mix) - k
        self.is_dry = dry
        self._silent = k < len(mix)

    def _stop_speech(self, mix: Samples, end: int) -> None:
        """Fades out what plays now, not beyond position `end` of the speech, and is silent after that."""
        k = 0
        if not self._silent:
            n_fade = min(len(self._fade_out), len(mix), max(0, end - self.speech.read_count))
            k = self.speech.read_into(mix[:n_fade])
            mix[:k] *= self._fade_out[:k]
        mix[k:] = 0
        self._silent = True
        self.is_dry = False

    def left_speaker(self, now_s: float) -> int:
        """Worker: position in `speech` up to which the sound has left the speaker by `now_s`."""
        end = self.speech.read_count  # before the stamps: what is read later is not claimed
        stamps = self.stamps.since(0)
        past = np.flatnonzero(stamps[:, 1] <= now_s)
        if not len(past):
            return 0 if not len(stamps) or self.stamps.written < len(stamps) else int(stamps[0, 0])
        i = int(past[-1])
        position, at_s = stamps[i]
        limit = stamps[i + 1, 0] if i + 1 < len(stamps) else end
        return int(min(limit, position + (now_s - at_s) * self.rate_hz))
