"""Sightline's composition root and command line."""

from __future__ import annotations

import sys


def main(argv: list[str] | None = None) -> int:
    """Dispatch to a command; imports happen inside the command so that the window never waits for torch."""
    print("nothing here yet", file=sys.stderr)
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
