"""`main.py engine`: the realtime server as a process.

Prints one JSON line `{"url": ..., "token": ...}` on stdout when it listens, with TLS also the certificate's
`fingerprint` and a `line` to paste into a client's settings; everything else goes to stderr. The model
may still be loading then: a client's `session.created` comes when it is ready, an `error` when it cannot be loaded.

Exit codes: 0 asked to end, 2 wrong arguments or no port, 3 the model cannot be loaded, 4 out of memory, 5 it died.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import json
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import platformdirs

from model.realtime.contract import SpeakingModel, VoiceDetectorFactory
from model.realtime.model_thread import ModelThread
from model.realtime.server import Address, RealtimeServer
from model.realtime.tls import ServerCertificate, load_certificate, own_certificate

log = logging.getLogger(__name__)

DEFAULT_CHECKPOINT = Path(__file__).parents[1] / "assets" / "flash-mini"
EXIT_USAGE = 2
OWN_CERTIFICATE = Path("-")
"""`--tls-self` without a folder: the data folder's."""


def main(
    argv: Sequence[str],
    make_detector: VoiceDetectorFactory | None = None,
    load: Callable[[argparse.Namespace], SpeakingModel] | None = None,
) -> int:
    """Runs the engine until it is told to end, then ends the process; returns only when it could not begin.

    `make_detector` is what finds the user's turns when a client asks for `server_vad`; without it none can. `load`
    makes the model from the options (default: `model.load`); it runs on the model's thread.
    """
    options = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("websockets").setLevel(logging.WARNING)
    # Read when torch is imported, later: threads that wait for work must sleep, not spin. On a busy machine a spinning
    # pool made each frame of speech more than twenty times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        token = _token(options.token_file)
        certificate = _certificate(options)
    except (OSError, ValueError) as error:
        _say(str(error))
        return EXIT_USAGE
    if not _is_loopback(options.host) and certificate is None:
        log.warning("listening on %s: everybody who can reach it and has the token can talk, unencrypted", options.host)
    make_model = partial(
        ModelThread,
        load=partial(load or _load, options),
        model_name=options.checkpoint.name,
        make_detector=make_detector,
    )
    code = asyncio.run(_serve(options, token, certificate, make_model))
    logging.shutdown()
    sys.stdout.flush()
    # Taking torch apart can take seconds, and a step that runs on would be waited for: quitting has three in all.
    os._exit(code)


def _say(message: str) -> None:
    """The last line on stderr is what the app shows when the engine has ended."""
    sys.stderr.write(f"sightline engine: {message}\n")
    sys.stderr.flush()


def parser() -> argparse.ArgumentParser:
    """The options of `main.py engine`."""
    made = argparse.ArgumentParser(
        prog="sightline engine",
        description="The model behind a WebSocket that speaks OpenAI's Realtime protocol.",
    )
    add = made.add_argument
    add("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT, help="checkpoint directory (default: %(default)s)")
    add("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    add("--port", type=int, default=0, help="port to listen on (default 0: any free one)")
    add("--token-file", type=Path, help="file holding the token that clients must give (default: a random one)")
    add("--tls-cert", type=Path, help="certificate to encrypt connections with (PEM, its chain after it)")
    add("--tls-key", type=Path, help="the certificate's key (PEM; default: in the certificate's file)")
    add(
        "--tls-self",
        type=Path,
        nargs="?",
        const=OWN_CERTIFICATE,
        metavar="DIR",
        help="encrypt with a certificate of its own, made once in DIR; clients pin its fingerprint, which is printed",
    )
    add("--max-clients", type=_positive, default=1, help="conversations at a time; each has its own cache (default: 1)")
    add("--device", default="auto", help="cpu, cuda, ... (default: auto)")
    add("--dtype", default="auto", help="float32, bfloat16, ... (default: auto)")
    add("--quantize", choices=("int8", "int4"), help="quantise the weights while loading")
    add("--positions", type=_positive, help="positions a conversation may hold (default: by free memory)")
    add("--cache-bits", type=int, choices=(8, 16), default=16, help="8: keys and values in int8 (default: 16)")
    add("--embedding-on-host", action="store_true", help="keep the token table in host memory")
    add("--host-expert-layers", type=int, default=0, help="keep the experts of that many layers in host memory")
    add("--graphs", default="auto", help="decode in graphs: cuda, static (not captured), off (default: cuda on a GPU)")
    add("--exit-with-stdin", action="store_true", help="end when stdin is closed, so that no engine outlives its app")
    return made


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {number}")
    return number


def _token(file: Path | None) -> str:
    if file is None:
        return secrets.token_urlsafe(32)
    token = file.read_text(encoding="utf-8").strip()
    if len(token) < 16:
        raise ValueError(f"{file}: a token needs at least 16 characters, got {len(token)}")
    return token


def _certificate(options: argparse.Namespace) -> ServerCertificate | None:
    """What connections are encrypted with; raises OSError and ValueError."""
    if options.tls_cert is not None and options.tls_self is not None:
        raise ValueError("--tls-self makes a certificate, --tls-cert gives one; choose one of them")
    if options.tls_key is not None and options.tls_cert is None:
        raise ValueError("--tls-key needs the certificate that it belongs to; add --tls-cert FILE")
    if options.tls_cert is not None:
        return load_certificate(options.tls_cert, options.tls_key)
    if options.tls_self is not None:
        folder = options.tls_self
        if folder == OWN_CERTIFICATE:
            folder = Path(platformdirs.user_data_dir("sightline", appauthor=False)) / "engine"
        return own_certificate(folder, options.host)
    return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _load(options: argparse.Namespace) -> SpeakingModel:
    """On the model thread: torch is imported here and not before."""
    import model
    from model.realtime.local_model import LocalModel
    from model.realtime.threads import use_fitting_threads

    loaded = model.load(
        options.checkpoint,
        device=options.device,
        dtype=options.dtype,
        quantize=options.quantize,
        graphs=options.graphs,
        memory=model.Memory(
            positions=options.positions,
            cache_bits=options.cache_bits,
            embedding_on_host=options.embedding_on_host,
            host_expert_layers=options.host_expert_layers,
        ),
    )
    use_fitting_threads(loaded)
    return LocalModel(loaded)


async def _serve(
    options: argparse.Namespace, token: str, certificate: ServerCertificate | None, make_model: partial[ModelThread]
) -> int:
    tls = None if certificate is None else certificate.context
    server = RealtimeServer(Address(options.host, options.port, tls), token, options.max_clients, make_model)
    try:
        url = await server.start()
    except (OSError, OverflowError) as error:  # taken, not allowed, or no port number at all
        _say(f"cannot listen on {options.host}:{options.port}: {error}")
        return EXIT_USAGE
    stop = asyncio.Event()
    _stop_on_signals(stop)
    if options.exit_with_stdin:
        _stop_with_stdin(stop)
    ready = {"url": url, "token": token}
    if certificate is not None:
        ready["fingerprint"] = certificate.fingerprint
        ready["line"] = f"{url}#{urlencode({'token': token, 'sha256': certificate.fingerprint})}"
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    failed, stopped = asyncio.create_task(server.failed()), asyncio.create_task(stop.wait())
    await asyncio.wait({failed, stopped}, return_when=asyncio.FIRST_COMPLETED)
    code = 0
    if failed.done():
        failure = failed.result()
        _say(failure.message)
        code = failure.exit_code
    failed.cancel()
    stopped.cancel()
    await server.stop()
    return code


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows' loop has no signal handlers; there Ctrl+C raises KeyboardInterrupt in asyncio.run.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)


def _stop_with_stdin(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def watch() -> None:
        # os.read, not sys.stdin: a daemon thread inside a buffered reader aborts the interpreter's shutdown.
        while os.read(0, 4096):
            pass
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=watch, name="stdin", daemon=True).start()
