"""`main.py engine`: the realtime server, with the default checkpoint and the voice detector put in."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from commands.checkpoints import ensure_random_checkpoint, shipped_checkpoint


def main(argv: Sequence[str]) -> int:
    """Runs until it is told to end. Exit codes: see `commands.serve`. Raises CommandError."""
    from audio_io.errors import PackageMissingError
    from audio_io.hops import HopDetector
    from commands import serve as cli

    arguments = list(argv)
    named = any(argument == "--checkpoint" or argument.startswith("--checkpoint=") for argument in arguments)
    if not named and "-h" not in arguments and "--help" not in arguments:
        arguments += ["--checkpoint", str(shipped_checkpoint() or ensure_random_checkpoint())]
    try:
        HopDetector(16_000)
    except PackageMissingError as error:
        sys.stderr.write(f"{error} The engine cannot find turns itself (server_vad).\n")
        return cli.main(arguments)
    return cli.main(arguments, make_detector=HopDetector)
