"""`main.py doctor`: the checks of `app.doctor`, and those that need devices and the engine."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

from app import doctor
from app.engine.choice import engine_choice
from app.engine.handle import EngineHandle
from app.history import History, HistoryError, history_path
from app.ports import EngineDown, EngineUp, Message
from app.settings import Settings, SettingsStore
from commands.checkpoints import ensure_random_checkpoint, model_label, shipped_checkpoint
from model_hub.store import ModelStore

ENGINE_TIMEOUT_S = 120.0
PROBE_TIMEOUT_S = 20.0


def main(argv: Sequence[str]) -> int:
    """Exit code 1 when something is missing."""
    parser = argparse.ArgumentParser(
        prog="sightline doctor", description="What works on this machine, what is missing, and how to get it."
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--no-engine", action="store_true", help="do not start the engine to see whether it answers")
    options = parser.parse_args(argv)
    store = SettingsStore()
    settings = store.settings
    probes = [
        *doctor.common_probes(),
        doctor.Probe("settings", lambda: _settings(store)),
        doctor.Probe("history", lambda: _history(settings)),
        doctor.Probe("end of turns", _turn_end),
        doctor.devices_probe(
            "microphones", _sound_devices("microphone"), "Plug a microphone in; typing works without one."
        ),
        doctor.Probe("microphone's sound", lambda: _microphone(settings.microphone)),
        doctor.devices_probe("speakers", _sound_devices("speaker"), "Plug a speaker or headphones in."),
        doctor.devices_probe(
            "cameras", _cameras, "Plug a camera in, or choose the screen or a file; Sightline hears without one."
        ),
    ]
    if not settings.engine_url:
        probes.append(doctor.checkpoint_probe(lambda: _checkpoint(settings)))
    probes.append(doctor.Probe("models", _models))
    if not options.no_engine:
        probes.append(doctor.engine_probe(lambda: _engine(settings), settings.engine_url))
    findings = doctor.examine(probes, PROBE_TIMEOUT_S if options.no_engine else ENGINE_TIMEOUT_S)
    sys.stdout.write((doctor.as_json(findings) if options.json else doctor.as_text(findings)) + "\n")
    return doctor.exit_status(findings)


def _settings(store: SettingsStore) -> doctor.Finding:
    if store.messages:
        return doctor.Finding("settings", "warning", " ".join(store.messages), "Set them again in the app.")
    there = "" if store.path.exists() else " (not there yet: defaults)"
    return doctor.Finding("settings", "ok", f"{store.path}{there}")


def _history(settings: Settings) -> doctor.Finding:
    """Whether conversations can be kept; without making the file."""
    path = history_path()
    if not settings.keep_history:
        return doctor.Finding("history", "ok", "conversations are not kept (settings)")
    # SQLite makes files of its own beside the history while it writes.
    folder = next(place for place in path.parents if place.exists())
    for place in (folder, path):
        if place.exists() and not os.access(place, os.W_OK):
            detail = f"{place} may not be written to; conversations are not kept"
            return doctor.Finding(
                "history", "warning", detail, f"Make it writable: chmod u+w {shlex.quote(str(place))}"
            )
    if not path.exists():
        return doctor.Finding("history", "ok", f"{path} (not there yet)")
    try:
        with closing(History()) as history:
            kept = len(history.conversations(limit=-1))
    except HistoryError as error:
        return doctor.Finding("history", "warning", f"{error} Until then conversations are not kept.")
    return doctor.Finding("history", "ok", f"{path} ({kept} conversation{'' if kept == 1 else 's'})")


def _turn_end() -> doctor.Finding:
    from audio_io.errors import PackageMissingError
    from audio_io.turn_end import SmartTurn

    try:
        SmartTurn()
    except PackageMissingError as error:
        return doctor.Finding("end of turns", "warning", error.message, error.remedy)
    return doctor.Finding("end of turns", "ok", "judged by how a sentence ends (Smart Turn v3.2)")


def _microphone(name: str | None) -> doctor.Finding:
    """Listens for a moment: a microphone that is there may still be muted."""
    from audio_io.errors import SoundError
    from audio_io.host import SoundHost
    from audio_io.probe import listen
    from audio_io.usefulness import ADVICE, judge

    host = SoundHost()
    try:
        heard = listen(host, name)
    except SoundError as error:
        return doctor.Finding("microphone's sound", "missing", error.message, error.remedy)
    finally:
        host.close_watch()
    fault = judge(heard.samples)
    if fault:
        return doctor.Finding("microphone's sound", "missing", ADVICE[fault].message, ADVICE[fault].remedy)
    if heard.opposed:
        detail = "its channels cancel each other out; the louder one is taken"
        return doctor.Finding("microphone's sound", "warning", detail, "Nothing needs to be done.")
    return doctor.Finding("microphone's sound", "ok", f"loudest {heard.loudest_dbfs:.0f} dBFS in {heard.seconds:.0f} s")


def _sound_devices(kind: Literal["microphone", "speaker"]) -> Callable[[], Sequence[str]]:
    def run() -> Sequence[str]:
        from audio_io.devices import list_devices

        return [
            f"{device.name}{' (default)' if device.is_default else ''}"
            for device in list_devices()
            if device.kind == kind
        ]

    return run


def _cameras() -> Sequence[str]:
    from video_io.sources import list_cameras

    return [choice.label for choice in list_cameras()]


def _models() -> doctor.Finding:
    """What else could be used, and how to get more."""
    store = ModelStore()
    names = [record.name for record in store.models()]
    begun = [item.name for item in store.unfinished()]
    parts = [", ".join(names) or "none but the one that comes with Sightline"]
    parts += [f"unfinished: {', '.join(begun)}"] if begun else []
    return doctor.Finding("models", "ok", f"{'; '.join(parts)} (more for this machine: main.py models list)")


def _checkpoint(settings: Settings) -> Path:
    if settings.checkpoint:
        return Path(settings.checkpoint).expanduser()
    return shipped_checkpoint() or ensure_random_checkpoint()


def _engine(settings: Settings) -> str:
    """Starts or reaches the engine and ends the connection again. Raises RuntimeError or TimeoutError."""
    from commands.compose import make_engine

    answered = threading.Event()
    answers: list[EngineUp | EngineDown] = []

    def post(message: Message) -> None:
        if isinstance(message, EngineUp | EngineDown):
            answers.append(message)
            answered.set()

    engine = EngineHandle(make_engine, model_label)
    choice = engine_choice(settings)
    try:
        engine.start(post, choice)
        if not answered.wait(ENGINE_TIMEOUT_S - 5):
            raise TimeoutError(f"no answer within {ENGINE_TIMEOUT_S - 5:.0f} s")
    finally:
        engine.stop(3.0)
    answer = answers[0]
    if isinstance(answer, EngineDown):
        raise RuntimeError(f"{answer.reason} {answer.remedy}".strip())
    where = f"at {answer.url}, which is not this machine" if answer.remote else "on this machine"
    return f"{answer.model} answers {where}; voices: {', '.join(answer.voices) or 'its own'}"
