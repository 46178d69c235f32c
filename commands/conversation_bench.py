"""`main.py bench conversation`: the whole app in a conversation with a recorded voice, at the pace of speech.

Microphone and speaker are virtual, everything between them is what people use. Four kinds of scene: questions;
questions with a pause to think in their middle; a room in which nobody speaks; questions asked into a reply.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from app import events as ev
from app.effects import Effect, FlushPlayback, PausePlayback
from app.view import Phase, View
from audio_io.blocks import INSIDE_RATE_HZ, Samples
from audio_io.sound_file import read_sound
from commands.converse import add_engine_options, check_inputs, check_texts, headless_choice
from commands.errors import EXIT_NO_SPEECH, EXIT_OK, EXIT_USAGE, CommandError
from commands.latency_bench import SAMPLES, percentile
from commands.timeline import Span, timeline_svg

KINDS: Final = ("questions", "pauses", "room", "interruptions")
PAUSES_S: Final = (0.6, 1.0, 1.5)
ROOM_S: Final = 4.0
QUIET_DBFS: Final = -60.0


@dataclass(frozen=True, slots=True)
class Scene:
    kind: str
    name: str
    passed: bool
    what: str
    """What happened, where it did not pass."""
    first_sound_ms: float | None = None
    """From the user's last voiced sample to the reply's first."""
    silent_ms: float | None = None
    """From the first voice of an interruption, as the segmenter places it, until the reply was silent."""


class Ears:
    """Keeps what the timeline and the scores need of the events; written by the Assistant's thread."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.voices = 0
        self.paused_at_s: float | None = None
        self.voice_at_s: float | None = None
        self._playing_since_s: float | None = None
        self._speaking_since_s: float | None = None

    def watch(self, event: ev.Event, effects: Sequence[Effect]) -> None:
        match event:
            case ev.VoiceStarted(at_s, _):
                self._speaking_since_s = self.voice_at_s = at_s
            case ev.VoiceEnded(at_s, _):
                self.voices += 1
                self._close("user", self._speaking_since_s, at_s)
            case ev.PlaybackStarted(at_s, _):
                self._playing_since_s = at_s
            case ev.PlaybackFinished(at_s, _, _):
                self._close("sightline", self._playing_since_s, at_s)
                self._playing_since_s = None
        if any(isinstance(effect, PausePlayback) for effect in effects):
            self.paused_at_s = event.at_s
        if any(isinstance(effect, FlushPlayback) for effect in effects) and self._playing_since_s is not None:
            self._close("sightline", self._playing_since_s, event.at_s)
            self._playing_since_s = None

    def _close(self, who: str, since_s: float | None, at_s: float) -> None:
        if since_s is not None:
            self.spans.append(Span(who, since_s, at_s))


def with_pause(question: Samples, pause_s: float) -> Samples:
    """A pause at the quietest place in the middle third: between words, as people do it."""
    size = INSIDE_RATE_HZ // 50
    start, end = len(question) // 3, 2 * len(question) // 3
    quietest = min(range(start, end - size, size // 2), key=lambda at: float(np.sum(question[at : at + size] ** 2)))
    at = quietest + size // 2
    rng = np.random.default_rng(0)
    quiet = rng.standard_normal(round(pause_s * INSIDE_RATE_HZ)).astype(np.float32) * np.float32(
        10 ** (QUIET_DBFS / 20)
    )
    return np.concatenate((question[:at], quiet, question[at:]))


def room(number: int) -> tuple[str, Samples]:
    """Sounds of a room: a fan, a door, keys."""
    rng = np.random.default_rng(number)
    n = round(ROOM_S * INSIDE_RATE_HZ)
    t = np.arange(n) / INSIDE_RATE_HZ
    kind = ("fan", "door", "keys")[number % 3]
    if kind == "fan":
        sound = np.convolve(rng.standard_normal(n), np.ones(40) / 40, "same") + 0.1 * np.sin(2 * np.pi * 100 * t)
        sound *= 0.02 / np.sqrt(np.mean(sound**2))
    elif kind == "door":
        fall = np.exp(-np.maximum(0, t - 1) / rng.uniform(0.05, 0.25)) * (t >= 1)
        sound = fall * (0.4 * np.sin(2 * np.pi * rng.uniform(50, 150) * t) + 0.1 * rng.standard_normal(n))
    else:
        sound = np.zeros(n)
        for at in np.cumsum(rng.uniform(0.1, 0.3, 12)):
            place = round(at * INSIDE_RATE_HZ)
            sound[place : place + 300] += 0.2 * rng.standard_normal(300) * np.exp(-np.arange(300) / 60)
    return kind, sound.astype(np.float32)


def _answers(view: View) -> int:
    return sum(turn.role == "assistant" for turn in view.transcript)


def _ask(run: Any, kind: str, name: str, sound: Samples) -> Scene:
    """One turn that must be answered once, as one turn."""
    before, turns, latencies = _answers(run.view), len(run.view.transcript), len(run.latencies)
    try:
        run.say(sound, name)
    except CommandError as error:
        if error.code != EXIT_NO_SPEECH:
            raise
        return Scene(kind, name, False, "not heard")
    users = len(run.view.transcript) - turns - (_answers(run.view) - before)
    answered = _answers(run.view) - before
    first_ms = run.latencies[-1].first_sample_ms if len(run.latencies) > latencies else None
    what = "" if (users, answered) == (1, 1) else f"{users} turns, {answered} answers"
    return Scene(kind, name, not what, what, first_ms)


def _stay_silent(run: Any, number: int, ears: Ears) -> Scene:
    kind, sound = room(number)
    before = ears.voices
    try:
        run.say(sound, kind)
    except CommandError as error:
        if error.code != EXIT_NO_SPEECH:
            raise
    heard = ears.voices - before
    return Scene("room", kind, not heard, f"taken for {heard} turns" if heard else "")


def _interrupt(run: Any, name: str, question: Samples, other: Samples, ears: Ears) -> Scene:
    cut_before = sum(turn.cut for turn in run.view.transcript)
    run.begin(question, name)
    run.wait_for(lambda view: view.phase is Phase.SPEAKING, "No reply began")
    ears.paused_at_s = ears.voice_at_s = None
    scene = _ask(run, "interruptions", name, other)
    cut = sum(turn.cut for turn in run.view.transcript) > cut_before
    paused, voice = ears.paused_at_s, ears.voice_at_s
    silent_ms = (paused - voice) * 1000 if paused is not None and voice is not None else None
    what = "" if cut else "the reply was over before, or went on"
    return Scene("interruptions", name, cut, what, scene.first_sound_ms, silent_ms)


def play(run: Any, questions: Sequence[Path], kinds: Sequence[str], n: int, ears: Ears) -> list[Scene]:
    sounds = [(path.name, read_sound(path)) for path in questions]
    scenes: list[Scene] = []
    for number in range(n):
        name, sound = sounds[number % len(sounds)]
        pause_s = PAUSES_S[number % len(PAUSES_S)]
        for kind in kinds:
            sys.stderr.write(f"{kind} {number + 1} of {n}\n")
            run.wait_for(lambda view: view.phase is Phase.LISTENING, "The scene before did not end")
            if kind == "questions":
                scenes.append(_ask(run, kind, name, sound))
            elif kind == "pauses":
                scenes.append(_ask(run, kind, f"{name}, {pause_s} s", with_pause(sound, pause_s)))
            elif kind == "room":
                scenes.append(_stay_silent(run, number, ears))
            else:
                scenes.append(_interrupt(run, name, sound, sounds[(number + 1) % len(sounds)][1], ears))
    return scenes


def table(scenes: Sequence[Scene]) -> str:
    lines = [f"{'scenes':<15}{'n':>4}{'passed':>9}{'first sound p50':>17}{'p95':>9}"]
    for kind in KINDS:
        mine = [scene for scene in scenes if scene.kind == kind]
        if not mine:
            continue
        times = [scene.first_sound_ms for scene in mine if scene.first_sound_ms is not None]
        shown = f"{percentile(times, 0.5):>14.0f} ms{percentile(times, 0.95):>6.0f} ms" if times else ""
        lines.append(f"{kind:<15}{len(mine):>4}{sum(scene.passed for scene in mine):>9}{shown}")
    lines += [f"  {scene.kind}, {scene.name}: {scene.what}" for scene in scenes if not scene.passed]
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """Raises CommandError."""
    parser = argparse.ArgumentParser(
        prog="sightline bench conversation", description="The whole app in a conversation with a recorded voice."
    )
    parser.add_argument("--say", action="append", metavar="WAV", help="questions (default: the sample ones)")
    parser.add_argument("--rounds", type=int, default=10, help="scenes of each kind (10)")
    parser.add_argument("--scenes", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--watch", default="", metavar="FILE", help="what the camera sees meanwhile")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for conversation.json and timeline.svg")
    add_engine_options(parser)
    options = parser.parse_args(argv)
    options.realtime = True
    if options.rounds < 1:
        raise CommandError(EXIT_USAGE, f"--rounds must be at least 1, not {options.rounds}.")
    questions = [Path(path) for path in options.say or sorted(SAMPLES.glob("question-*.wav"))]
    if not questions:
        raise CommandError(EXIT_USAGE, f"There is no sample question in {SAMPLES}.", "Give --say FILE.")
    check_texts(options)
    check_inputs([("say", str(question)) for question in questions], options.watch)

    from commands.headless import Headless

    ears = Ears()
    with Headless(headless_choice(options), ears.watch) as run:
        run.wait_ready()
        scenes = play(run, questions, options.scenes, options.rounds, ears)
        model = run.view.engine.model
    sys.stdout.write(f"{model}\n{table(scenes)}\n")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        content = {"model": model, "scenes": [asdict(scene) for scene in scenes]}
        (options.out / "conversation.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        (options.out / "timeline.svg").write_text(timeline_svg(ears.spans), encoding="utf-8")
    return EXIT_OK
