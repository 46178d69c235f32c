"""Sightline's command line. Imports happen inside the commands, so that the window never waits for torch."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from commands.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, CommandError

USAGE = """\
usage: sightline [command] [options]        (or: python main.py [command] [options])

commands
  gui        the desktop app (what starts without a command)
  converse   a conversation with sound files and pictures, without devices or a screen
  engine     the model as a server that speaks the OpenAI Realtime protocol
  doctor     what works on this machine, what is missing, and how to get it
  history    lists the stored conversations; --show, --out and --delete take one
  models     plan, convert and check checkpoints
  bench      measure: latency, conversation, clients, turns-end, echo, reading, reference, turns, quantize, memory, cpu,
             machine, card

Every command explains itself with --help.
"""

BENCH_USAGE = """\
usage: sightline bench WHAT [options]

  latency     from the user's last sample to the reply's first, stage by stage
  conversation  the whole app in a conversation with a recorded voice: questions, pauses, a room, interruptions
  clients     several conversations with one engine at once: does each get its share
  turns-end   is the end of a turn found soon, and is nobody cut off who only pauses
  echo        echo cancellation: how much is left, and whether interruptions are found
  reading     text in pictures: errors, order, what is read where there is none, time, memory
  reference   the model against the reference implementation
  turns       how long the model takes for a turn
  quantize    what int8 and int4 weights do to the outputs, part by part
  memory      what each memory setting costs and saves
  cpu         the published size on a processor: steps, prefill, a conversation
  machine     what this machine can do with the published model, in words (20 s)
  card        the published size on a graphics card: does it fit, how fast is it, where the time goes
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code. What a user can mend is a message, never a traceback."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except CommandError as error:
        sys.stderr.write(f"sightline: {error}\n")
        return error.code
    except KeyboardInterrupt:
        sys.stderr.write("sightline: interrupted\n")
        return EXIT_INTERRUPTED


def _dispatch(arguments: list[str]) -> int:
    if arguments[:1] in (["-h"], ["--help"], ["help"]):
        sys.stdout.write(USAGE)
        return EXIT_OK
    if not arguments or arguments[0].startswith("-"):
        arguments = ["gui", *arguments]
    command, rest = arguments[0], arguments[1:]
    match command:
        case "gui":
            from commands import gui

            return gui.main(rest)
        case "converse":
            from commands import converse

            return converse.main(rest)
        case "engine":
            from commands import engine

            return engine.main(rest)
        case "doctor":
            from commands import doctor

            return doctor.main(rest)
        case "history":
            from commands import history

            return history.main(rest)
        case "models":
            from commands import models as cli

            return cli.main(rest)
        case "bench":
            return _bench(rest)
    raise CommandError(EXIT_USAGE, f"There is no command {command!r}.", "Commands: main.py --help")


def _bench(arguments: list[str]) -> int:
    what, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    match what:
        case "-h" | "--help":
            sys.stdout.write(BENCH_USAGE)
            return EXIT_OK
        case "latency":
            from commands import latency_bench

            return latency_bench.main(rest)
        case "conversation":
            from commands import conversation_bench

            return conversation_bench.main(rest)
        case "clients":
            from commands import clients_bench

            return clients_bench.main(rest)
        case "turns-end":
            from audio_io import turns_bench

            return turns_bench.main(rest)
        case "echo":
            from audio_io import bench as echo_bench

            return echo_bench.main(rest)
        case "reading":
            from commands import reading_bench

            return reading_bench.main(rest)
        case "quantize":
            from model.bench import quantize as quantize_bench

            return quantize_bench.main(rest)
        case "card":
            from model.bench.card import bench as card_bench

            return card_bench.main(rest)
        case "cpu":
            from model.bench import cpu as cpu_bench

            return cpu_bench.main(rest)
        case "machine":
            from commands.models.measured import keep_speed
            from model.bench import machine as machine_bench

            return machine_bench.main(rest, keep_speed)
        case "memory":
            from model.bench import memory as memory_bench

            return memory_bench.main(rest)
        case "reference" | "turns":
            from model.bench import reference as bench

            return bench.main([what, *rest])
    raise CommandError(EXIT_USAGE, f"There is no benchmark {what!r}.", "See: main.py bench --help")


if __name__ == "__main__":
    raise SystemExit(main())
