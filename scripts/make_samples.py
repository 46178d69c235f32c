"""Makes assets/samples: spoken questions and a picture, for trying Sightline without devices.

    .venv/bin/python scripts/make_samples.py

Needs `flite` and `espeak-ng` (scripts/setup dev). The voices are among those that flash-mini was never trained on; the
picture is drawn by `training.scenes`, as its training pictures are.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import soundfile
import soxr

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "samples"
RATE_HZ = 16_000
QUESTIONS = (
    ("question-1.wav", "espeak-ng en-gb-scotland", "What do you see?"),
    ("question-2.wav", "espeak-ng en-us+f5", "What colour is the cup?"),
    ("question-3.wav", "flite kal16", "Where is the bottle?"),
    ("question-4.wav", "espeak-ng en-us+f5", "Hello."),
    ("question-5.wav", "flite kal16", "What is two plus three?"),
    ("question-6.wav", "espeak-ng en-us+f5", "Is it safe to cross the road now?"),
    ("question-7.wav", "espeak-ng en-gb-scotland", "What sound does a cow make?"),
    ("question-8.wav", "flite kal16", "Goodbye."),
)
PICTURE_SEED = 990_001


def speak(path: Path, voice: str, text: str) -> None:
    program, name = voice.split()
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "speech.wav"
        say = {
            "flite": ["flite", "-voice", name, "-t", text, "-o", str(raw)],
            "espeak-ng": ["espeak-ng", "-v", name, "-s", "160", "-w", str(raw), text],
        }
        subprocess.run(say[program], check=True)
        samples, rate_hz = soundfile.read(raw, dtype="float32")
    soundfile.write(path, soxr.resample(samples, rate_hz, RATE_HZ), RATE_HZ, subtype="PCM_16")


def main() -> int:
    sys.path.insert(0, str(FOLDER.parents[1]))
    from training.scenes.render import render
    from training.scenes.scene import Scene, Thing

    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, voice, text in QUESTIONS:
        speak(FOLDER / name, voice, text)
    things = (Thing("cup", "red", 0.22, 0.52, 0.42), Thing("bottle", "green", 0.78, 0.5, 0.5))
    rgb, _ = render(Scene(things, style_seed=PICTURE_SEED), 384, 512)
    cv2.imwrite(str(FOLDER / "table.jpg"), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    (FOLDER / "README.md").write_text(
        "Made by scripts/make_samples.py.\n\n"
        + "".join(f"- `{name}` ({voice}): “{text}”\n" for name, voice, text in QUESTIONS)
        + "- `table.jpg`: a red cup on the left, a green bottle on the right.\n",
        encoding="utf-8",
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
