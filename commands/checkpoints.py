"""Which checkpoint is the default: the one shipped with the app, or random weights, honestly named."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import platformdirs

from commands.errors import EXIT_ENGINE, CommandError

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "assets" / "flash-mini"
RANDOM_NAME = "random-tiny"
RANDOM_LABEL = "random weights (for trying out: answers are noise)"
MAKE_TIMEOUT_S = 120.0


def shipped_checkpoint() -> Path | None:
    """`assets/flash-mini`, where there is one."""
    return SHIPPED if (SHIPPED / "config.json").is_file() else None


def random_checkpoint_path() -> Path:
    return Path(platformdirs.user_cache_dir("sightline", appauthor=False)) / RANDOM_NAME


def model_label(name: str) -> str:
    """What people read for a checkpoint's name."""
    return RANDOM_LABEL if name == RANDOM_NAME else name


def ensure_random_checkpoint() -> Path:
    """Random weights in the published format, made once in the user's cache, in a process of its own.

    Raises CommandError."""
    target = random_checkpoint_path()
    if (target / "config.json").is_file():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            made = Path(folder) / RANDOM_NAME
            subprocess.run(
                [sys.executable, "-m", "model.bench.random_checkpoint", str(made), "--size", "tiny"],
                check=True,
                capture_output=True,
                text=True,
                timeout=MAKE_TIMEOUT_S,
                cwd=ROOT,
            )
            if not (target / "config.json").is_file():  # another engine may have been faster
                shutil.rmtree(target, ignore_errors=True)
                made.rename(target)
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().splitlines()[-1:] or [f"code {error.returncode}"]
        raise CommandError(EXIT_ENGINE, f"A random checkpoint could not be made: {last[0]}.") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(
            EXIT_ENGINE, f"A random checkpoint could not be made in {target.parent}: {error}.", "Give --checkpoint."
        ) from error
    return target
