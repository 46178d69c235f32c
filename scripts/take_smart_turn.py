"""Takes Smart Turn's model out of the wheel of pipecat-ai and puts it where Sightline looks for it.

The package itself is not installed: it would bring dozens of others. The wheel is the one of the digest below, or
nothing is taken. Run by scripts/setup; by hand: python scripts/take_smart_turn.py
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from audio_io.turn_end import MODEL_FILE, smart_turn_path

PACKAGE = "pipecat-ai==1.14.0"
WHEEL_SHA256 = "0352f504b44e78bdf524e45af4bc759601c835b9b7dc195efe5e03384b974a44"
MODEL_SHA256 = "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f"
INSIDE = f"pipecat/audio/turn/smart_turn/data/{MODEL_FILE}"


def is_there(path: Path) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == MODEL_SHA256


def take(wheel: Path, path: Path) -> None:
    """Whole or not at all. Raises OSError, KeyError or ValueError."""
    with zipfile.ZipFile(wheel) as archive:
        model = archive.read(INSIDE)
    if hashlib.sha256(model).hexdigest() != MODEL_SHA256:
        raise ValueError(f"{INSIDE} in {wheel.name} is not the expected file")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(model)
    partial.replace(path)


def main() -> int:
    path = smart_turn_path()
    if is_there(path):
        return 0
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text(f"{PACKAGE} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        options = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--dest", folder, "-r", str(wanted)]
        done = subprocess.run([*pip, *options], check=False)
        wheels = sorted(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            sys.stderr.write(f"{PACKAGE} could not be downloaded: the end of turns is found by silence alone.\n")
            return 1
        try:
            take(wheels[0], path)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            sys.stderr.write(f"The model of {PACKAGE} could not be taken: {error}.\n")
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
