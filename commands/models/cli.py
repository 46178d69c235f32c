"""`main.py models`: its commands and their arguments."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from commands.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, CommandError

PLANNING = ("plan", "quantize")
COMMANDS = ("list", "get", "remove", "token")
EXIT_NOT_FOUND = 3
EXIT_ACCESS = 4
EXIT_NETWORK = 5
EXIT_DISK = 6
EXIT_CONTENTS = 7
EXIT_UNSUITABLE = 8

USAGE = """\
usage: sightline models {list,get,remove,token,plan,quantize} [options]

  list        what there is, what is on this disk, and what this machine can expect of it
  get         fetch a model, verify it, convert it to int4 or int8 as it comes; goes on where it was stopped
  remove      delete a model from this disk
  token       store a token for gated models
  plan        what each part takes on a card, and what would make it fit
  quantize    store a model in a folder as int4 or int8
"""


def main(argv: Sequence[str]) -> int:
    """Runs a command. Raises CommandError."""
    arguments = list(argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(USAGE)
        return EXIT_OK if arguments else EXIT_USAGE
    if arguments[0] in PLANNING:
        from commands.models import planning

        return planning.main(arguments)
    if arguments[0] not in COMMANDS:
        raise CommandError(EXIT_USAGE, f"There is no command {arguments[0]!r}.", "Commands: main.py models --help")
    options = _parser().parse_args(arguments)
    if options.command == "list":
        from commands.models import listing

        return listing.run(as_json=options.json, root=options.folder)
    if options.command == "remove":
        return _remove(options)
    if options.command == "token":
        return _token(options)
    return _get(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sightline models", description="Models on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    listed = commands.add_parser("list", help="what there is, and what this machine can expect of it")
    get = commands.add_parser(
        "get",
        help="fetch a model",
        description="WHAT is a name of “models list”, OWNER/NAME, hf:OWNER/NAME, ms:OWNER/NAME, a web address or a "
        "folder; @REVISION may follow a name. Exit codes: 3 not found, 4 no access, 5 network, 6 disk full, 7 wrong "
        "contents, 8 unsuitable; what has come is kept, and the same command goes on.",
    )
    get.add_argument("what", metavar="WHAT")
    get.add_argument(
        "--bits", choices=("4", "8", "none"), help="store in 4 or 8 bits (default: the catalogue's advice)"
    )
    get.add_argument("--from", dest="service", choices=("huggingface", "modelscope"), default="huggingface")
    get.add_argument("--name", default="", help="what to call it here")
    get.add_argument("--until-stdin-closes", action="store_true", help=argparse.SUPPRESS)
    get.add_argument("--use", action="store_true", help="choose it for the app when it is there")
    remove = commands.add_parser("remove", help="delete a model from this disk")
    remove.add_argument("name", metavar="NAME")
    token = commands.add_parser("token", help="store a token for gated models; it is read from standard input")
    token.add_argument("service", choices=("hf", "ms"))
    for command in (listed, get, remove):
        command.add_argument("--json", action="store_true", help="for programs: one JSON object a line")
        command.add_argument("--folder", type=Path, help="where models lie (default: your data folder)")
    return parser


def _get(options: argparse.Namespace) -> int:
    from commands.models.getting import Wish, get
    from model_hub import errors

    # The window ends a download with a terminate signal, which is a pause: everything that has come is kept.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_INTERRUPTED))
    codes = {
        errors.NotFoundError: EXIT_NOT_FOUND, errors.AccessError: EXIT_ACCESS, errors.NetworkError: EXIT_NETWORK,
        errors.DiskFullError: EXIT_DISK, errors.WrongContentsError: EXIT_CONTENTS,
        errors.UnsuitableError: EXIT_UNSUITABLE,
    }  # fmt: skip
    if options.until_stdin_closes:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    wish = Wish(options.what, options.bits, options.service, options.name, options.use)
    from commands.models.bars import Teller

    with Teller(as_json=options.json) as teller:
        try:
            get(wish, options.folder, teller)
        except errors.GetError as error:
            if options.json:
                teller.failed(error.message, error.remedy)
            raise CommandError(codes.get(type(error), EXIT_FAILED), error.message, error.remedy) from error
        except KeyboardInterrupt:
            remedy = "What has come is kept; the same command goes on."
            raise CommandError(EXIT_INTERRUPTED, "Stopped.", remedy) from None
    return EXIT_OK


def _end_with_stdin() -> None:
    """The app that started this has ended; any end is a pause."""
    sys.stdin.read()
    os._exit(EXIT_INTERRUPTED)


def _remove(options: argparse.Namespace) -> int:
    import json

    from model_hub.errors import GetError
    from model_hub.store import ModelStore

    store = ModelStore(options.folder)
    try:
        n_bytes = store.remove(options.name)
    except GetError as error:
        if options.json:
            failed = {"event": "failed", "message": error.message, "remedy": error.remedy}
            sys.stdout.write(json.dumps(failed) + "\n")
        raise CommandError(EXIT_FAILED, error.message, error.remedy) from error
    if options.json:
        sys.stdout.write(json.dumps({"event": "removed", "name": options.name, "bytes": n_bytes}) + "\n")
    else:
        sys.stdout.write(f"{options.name} is removed; {n_bytes / 1e9:.2f} GB are free again.\n")
    return EXIT_OK


def _token(options: argparse.Namespace) -> int:
    import getpass

    from app.keys import Keys
    from app.settings import config_dir
    from commands.models.getting import HUB_KEYS

    service = {"hf": "huggingface", "ms": "modelscope"}[options.service]
    token = getpass.getpass("Token: ") if sys.stdin.isatty() else sys.stdin.readline()
    keys = Keys(config_dir())
    try:
        keys.put(HUB_KEYS[service], token.strip())
    except OSError as error:
        raise CommandError(EXIT_FAILED, f"The token could not be stored: {error}.") from error
    sys.stdout.write(f"Stored in {keys.where}; only you may read it. An empty line forgets it.\n")
    return EXIT_OK
