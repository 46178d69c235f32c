"""Makes assets/earcons/*.wav: short, soft, and told apart by their shape, not by their pitch alone.

Run: .venv/bin/python scripts/make_earcons.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE_HZ = 16_000
FOLDER = Path(__file__).resolve().parents[1] / "assets" / "earcons"
# Name: notes of (frequency in Hz, length in s, level). A pair rises: listening; one soft low note: thinking; a pair
# falls: interrupted; three of the same, harsh: error; one long high note: steady.
NOTES = {
    "listening": [(660.0, 0.07, 0.22), (990.0, 0.1, 0.22)],
    "thinking": [(440.0, 0.14, 0.12)],
    "interrupted": [(740.0, 0.06, 0.2), (494.0, 0.09, 0.2)],
    "steady": [(1320.0, 0.3, 0.16)],
    "error": [(311.0, 0.1, 0.28), (311.0, 0.1, 0.28), (233.0, 0.16, 0.28)],
}


def note(frequency_hz: float, length_s: float, level: float, harsh: bool) -> NDArray[np.float32]:
    """A tone with a few ms of attack and a decay that reaches silence: no clicks."""
    t = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    tone = np.sin(2 * np.pi * frequency_hz * t) + (0.4 if harsh else 0.15) * np.sin(4 * np.pi * frequency_hz * t)
    envelope = np.minimum(1, t / 0.008) * np.cos(np.pi / 2 * t / length_s) ** 2
    return (level * tone * envelope).astype(np.float32)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, notes in NOTES.items():
        sound = np.concatenate([note(*values, harsh=name == "error") for values in notes])
        soundfile.write(FOLDER / f"{name}.wav", sound, RATE_HZ, subtype="PCM_16")


if __name__ == "__main__":
    main()
