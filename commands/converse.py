"""`main.py converse`: a conversation without devices or a screen. Writes what was said and heard into a folder."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from commands.errors import EXIT_ENGINE, EXIT_OK, EXIT_USAGE, CommandError, sound_exit
from commands.results import check_output, write_results
from model.checkpoint.place import checkpoint_folder
from model.errors import ConfigError

Turn = tuple[Literal["say", "text"], str]

MAX_TIMEOUT_S = 86_400.0
LIMIT_S = 30.0
RANDOM_LIMIT_S = 6.0
"""Random weights hardly ever end a reply by themselves, and nobody wants to wait for half a minute of noise."""

EPILOG = """\
exit codes: 0 done; 1 something is not installed; 2 wrong arguments, no such file, unreadable picture or address;
3 the engine cannot be started or has died; 4 no speech was found in a sound file; 5 the folder cannot be written to
"""


class _AppendTurn(argparse.Action):
    """Keeps --say and --text in the order in which they were given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        kind = "say" if option_string == "--say" else "text"
        namespace.turns = [*(getattr(namespace, "turns", None) or []), (kind, str(values))]


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--checkpoint", default="", metavar="DIR", help="checkpoint folder (default: the one shipped with Sightline)")
    add("--quantize", choices=("none", "int8", "int4"), default="none", help="quantise the weights while loading")
    add("--engine", default="", metavar="URL", help="a running engine (ws://HOST:PORT/v1/realtime)")
    add("--token", default="", help="its token (default: the environment's SIGHTLINE_TOKEN)")
    add("--kind", default="auto", help="what kind of engine it is (default: found out): openai, dashscope, …")
    add("--model", default="", metavar="NAME", help="the model to ask it for (default: that kind's usual one)")
    add("--limit", type=float, metavar="S", help="longest reply, in seconds of speech (30; random weights: 6)")
    add("--timeout", type=float, default=600.0, metavar="S", help="longest wait for the engine or a reply (600)")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sightline converse",
        description="Talk to Sightline with sound files instead of a microphone.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--say", dest="turns", action=_AppendTurn, metavar="WAV", help="speak this file; may be given several times")
    add("--text", dest="turns", action=_AppendTurn, metavar="TEXT", help="type this; may be given several times")
    add("--watch", default="", metavar="FILE", help="what the camera sees: a video, a picture or a folder of pictures")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for reply-N.wav, transcript.json, timing.json")
    add("--realtime", action="store_true", help="at the pace of speech, as with a real microphone")
    add("--instructions", default="", help="what the assistant is told to be")
    add("--voice", default="", help="the voice of the replies")
    add("--json", action="store_true", help="print the summary as JSON")
    add_engine_options(parser)
    return parser


def main(argv: Sequence[str]) -> int:
    """Raises CommandError for everything that a user can get wrong."""
    options = _parser().parse_args(argv)
    turns: list[Turn] = options.turns or []
    if not turns:
        raise CommandError(EXIT_USAGE, "Nothing was said.", "Give at least one --say FILE or --text TEXT.")
    check_texts(options)
    check_inputs(turns, options.watch)
    choice = headless_choice(options)
    check_output(options.out)

    from commands.headless import Headless

    progress = sys.stderr
    # `kill` and `timeout` end a conversation as Ctrl+C does: what was heard is written, and the engine ends.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Headless(choice) as run:
        progress.write("Starting the engine …\n")
        try:
            run.wait_ready()
            for kind, what in turns:
                progress.write(f"{'Saying' if kind == 'say' else 'Typing'} {what} …\n")
                run.say(Path(what)) if kind == "say" else run.text(what)
        finally:
            # Also what was heard before something went wrong.
            summary = write_results(run, options.out)
    _print(summary, options.out, options.json)
    for problem in summary["problems"]:
        progress.write(f"Met on the way: {printable(problem['message'])}\n")
    if run.unanswered or any(turn["cut_by"] == "engine lost" for turn in summary["turns"]):
        died = [problem["message"] for problem in summary["problems"] if problem["code"] == "engine lost"]
        why = " ".join(died) or printable(run.unanswered[0])
        raise CommandError(EXIT_ENGINE, f"{why} A reply is missing or cut.", "Run it again.")
    return EXIT_OK


def headless_choice(options: argparse.Namespace) -> Any:
    from app.engine.address import check_url
    from commands.headless import Choice

    if options.engine:
        try:
            check_url(options.engine)
        except ValueError as error:
            raise CommandError(EXIT_USAGE, str(error)) from error
    if options.kind != "auto":
        from app.dialects.registry import KINDS

        if options.kind not in KINDS:
            raise CommandError(EXIT_USAGE, f"There is no kind {options.kind!r}.", f"Kinds: {', '.join(KINDS)}.")
    if options.checkpoint:
        try:
            options.checkpoint = checkpoint_folder(options.checkpoint)
        except ConfigError as error:
            raise CommandError(EXIT_USAGE, f"{error}.") from error
    if not 0 < options.timeout <= MAX_TIMEOUT_S:
        raise CommandError(
            EXIT_USAGE, f"--timeout must be above 0 and at most {MAX_TIMEOUT_S:.0f} (a day), not {options.timeout}."
        )
    if options.limit is not None and not 2 <= options.limit <= 600:
        raise CommandError(EXIT_USAGE, f"--limit must be from 2 to 600, not {options.limit}.")
    return Choice(
        checkpoint=str(Path(options.checkpoint).resolve()) if options.checkpoint else "",
        engine_url=options.engine,
        engine_token=options.token or os.environ.get("SIGHTLINE_TOKEN", ""),
        engine_kind=options.kind,
        engine_model=options.model,
        quantize=options.quantize,
        watch=getattr(options, "watch", ""),
        realtime=options.realtime,
        instructions=getattr(options, "instructions", ""),
        voice=getattr(options, "voice", ""),
        timeout_s=options.timeout,
        reply_limit_s=options.limit or _default_limit_s(options),
    )


def _default_limit_s(options: argparse.Namespace) -> float:
    from commands.checkpoints import shipped_checkpoint

    if not options.engine and not options.checkpoint and shipped_checkpoint() is None:
        return RANDOM_LIMIT_S
    return LIMIT_S


def check_texts(options: argparse.Namespace) -> None:
    """What ends in the settings or goes to the engine must be text; the shell hands on any bytes."""
    for name in ("instructions", "voice", "checkpoint", "watch", "engine", "token", "model"):
        if not _is_text(getattr(options, name, "")):
            raise CommandError(
                EXIT_USAGE, f"--{name} is not valid text.", "Give it in the terminal's encoding (UTF-8)."
            )


def _is_text(value: str) -> bool:
    """False where the terminal's bytes could not be read as text."""
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def check_inputs(turns: Sequence[Turn], watch: str) -> None:
    """Every file is looked at before an engine is started for it."""
    from audio_io.errors import WavFileError
    from audio_io.sound_file import open_sound

    for kind, what in turns:
        if kind == "say":
            try:
                open_sound(what)
            except WavFileError as error:
                raise CommandError(sound_exit(error), error.message, error.remedy) from error
        elif not what.strip():
            raise CommandError(EXIT_USAGE, "An empty --text was given.", "Give some words.")
        elif not _is_text(what):
            raise CommandError(EXIT_USAGE, "A --text is not valid text.", "Give it in the terminal's encoding (UTF-8).")
    if watch:
        check_pictures(watch)


def check_pictures(watch: str) -> None:
    from video_io.frames import SourceError
    from video_io.sources import try_source

    if "://" in watch:
        return  # an address may take long to answer: meanwhile the engine starts
    if not watch.startswith(("camera:", "screen:")):
        path = Path(watch.removeprefix("file:")).expanduser()
        if not path.exists():
            raise CommandError(EXIT_USAGE, f"There is no picture, video or folder {str(path)!r}.", "Check the path.")
    try:
        try_source(watch)
    except SourceError as error:
        raise CommandError(EXIT_USAGE, error.message, error.remedy) from error
    except ValueError as error:
        raise CommandError(EXIT_USAGE, f"--watch: {error}.", "See: main.py converse --help") from error


def printable(text: str) -> str:
    """Generated text must not command the terminal."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _print(summary: dict[str, Any], folder: Path, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({**summary, "out": printable(str(folder))}, ensure_ascii=False) + "\n")
        return
    names = {"user": "You", "assistant": "Sightline", "notice": "Notice"}
    sys.stdout.write(f"Model: {summary['model']}\n")
    for turn in summary["turns"]:
        text = printable(turn["text"]) or ("(spoken, not transcribed)" if turn["role"] == "user" else "(no words)")
        mark = f" … ({turn['cut_by']})" if turn["cut"] else ""
        sound = f"  [{turn['sound']}, {turn['heard_ms'] / 1000:.1f} s]" if turn["sound"] else ""
        sys.stdout.write(f"{names[turn['role']]}: {text}{mark}{sound}\n")
    where = printable(str(folder.resolve()))
    sys.stdout.write(f"The sound (reply-N.wav), transcript.json and timing.json are in {where}\n")
