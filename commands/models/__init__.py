"""`main.py models`: what there is for this machine, getting it, removing it, planning and converting."""

from commands.models.cli import main

__all__ = ["main"]
