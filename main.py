"""Sightline's composition root and command line."""

from __future__ import annotations

import sys


def main(argv: list[str] | None = None) -> int:
    """Dispatch to a command; imports happen inside the command so that the window never waits for torch."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["engine"]:
        return _engine(arguments[1:])
    print("nothing here yet", file=sys.stderr)
    return 2


def _engine(arguments: list[str]) -> int:
    from audio_io.errors import PackageMissingError
    from audio_io.hops import HopDetector
    from model.realtime import cli

    try:
        HopDetector(16_000)
    except PackageMissingError as error:
        print(f"{error} The engine cannot find turns itself (server_vad).", file=sys.stderr)
        return cli.main(arguments)
    return cli.main(arguments, make_detector=HopDetector)


if __name__ == "__main__":
    raise SystemExit(main())
