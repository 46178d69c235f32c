"""The one thread that owns the model and every session: loads it, then serves the clients in turn, a step at a time."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count

from model.conversation.schedule import Claim, order
from model.realtime.config import Abilities
from model.realtime.contract import SpeakingModel, VoiceDetectorFactory
from model.realtime.link import Link
from model.realtime.live_session import LiveSession
from model.realtime.renewal import SessionLostError
from model.realtime.server_events import ErrorEvent, EventError
from model.realtime.transcripts import QUIET_S

log = logging.getLogger(__name__)

EVENTS_AT_ONCE = 256

EXIT_LOAD_FAILED = 3
EXIT_OUT_OF_MEMORY = 4
EXIT_MODEL_DIED = 5


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the engine must end."""

    message: str
    code: str
    exit_code: int


@dataclass(slots=True)
class Client:
    """A connected client; `live` is made and used on the model thread only."""

    link: Link
    live: LiveSession | None = None
    lost: bool = False
    """Its session has failed; the connection is about to end."""
    last_heard_s: float = 0.0


class ModelThread:
    """Everything that touches torch happens in here. `attach` may be called from any thread."""

    def __init__(
        self,
        load: Callable[[], SpeakingModel],
        model_name: str,
        make_detector: VoiceDetectorFactory | None,
        on_failure: Callable[[Failure], None],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._model_name = model_name
        self._make_detector = make_detector
        self._on_failure = on_failure
        self._now_s = now_s
        self._changed = threading.Condition()
        self._news = False
        self._stopping = False
        self._clients: list[Client] = []
        self.is_ready = False
        """The model is loaded. Written on the thread, read by anybody."""
        self._session_numbers = count(1)
        # A daemon: a step that hangs must not keep a process alive that was told to end.
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Ends after the running step; False: it did not end in time. May be called twice."""
        with self._changed:
            self._stopping = True
        self.wake()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def attach(self, link: Link) -> None:
        """Serves a client until its link is closed."""
        with self._changed:
            self._clients.append(Client(link))
        self.wake()

    def wake(self) -> None:
        with self._changed:
            self._news = True
            self._changed.notify_all()

    # --- on the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            model = self._load()
        except MemoryError as error:
            self._on_failure(
                Failure(f"Not enough memory to load the model: {error}", "out_of_memory", EXIT_OUT_OF_MEMORY)
            )
            return
        except Exception as error:  # whatever it was: an engine without a model must not live on
            # A checkpoint that is refused (a ValueError) says itself what is wrong with it.
            log.error("the model could not be loaded", exc_info=not isinstance(error, ValueError | OSError))
            self._on_failure(_load_failure(error))
            return
        abilities = Abilities(
            self._model_name,
            tuple(model.voices),
            self._make_detector is not None,
            model.knows_tools,
            model.knows_read_text,
        )
        self.is_ready = True
        log.info("the model is ready")
        try:
            while self._wait_for_news():
                self._serve(model, abilities)
        except BaseException as error:
            log.exception("the engine failed")
            self._on_failure(_death(error))

    def _wait_for_news(self) -> bool:
        with self._changed:
            # A transcription that waits for quiet is the only thing that becomes due by itself.
            due = any(client.live is not None and client.live.waits_for_quiet for client in self._clients)
            if not self._news:
                self._changed.wait(QUIET_S if due else None)
            self._news = False
            return not self._stopping

    def _serve(self, model: SpeakingModel, abilities: Abilities) -> None:
        """Works until nobody has anything to do: each client's messages, then one piece of its work, in turn."""
        busy = True
        while busy and not self._stopping:
            with self._changed:
                clients = list(self._clients)
            busy = False
            now_s = self._now_s()
            claims = [_claim(client, now_s) for client in clients]
            n_replies = 0
            for number in order(claims):
                is_reply = claims[number].is_replying and not claims[number].has_input
                # One step of a reply, then what users have said meanwhile: it waits for no more than that, and who
                # talks without end cannot keep the others' replies from going on.
                if is_reply and n_replies and self._somebody_speaks(clients):
                    busy = True
                    break
                client = clients[number]
                if client.link.closed:
                    self._detach(client)
                elif self._serve_client(client, model, abilities):
                    busy = True
                    n_replies += is_reply  # one whose client does not take more has had no step

    @staticmethod
    def _somebody_speaks(clients: list[Client]) -> bool:
        return any(client.link.has_events and not client.link.closed for client in clients)

    def _serve_client(self, client: Client, model: SpeakingModel, abilities: Abilities) -> bool:
        live = client.live
        if live is None:
            if client.lost:
                return False
            return self._open(client, model, abilities)
        try:
            more = self._handle_events(client, live)
            quiet_s = self._now_s() - client.last_heard_s
            return live.work(not client.link.congested, quiet_s, self._now_s()) or more
        except ValueError as error:
            live.model_refused(error)
            return True
        except (SessionLostError, AssertionError, LookupError, TypeError, AttributeError) as error:
            log.exception("a client's session failed")
            self._lose(client, f"This session failed and has ended: {error}")
            return True
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                if self._n_living() < 2:
                    raise
                self._lose(client, f"There was no more memory for this conversation: {error}")
                return True
            log.exception("the model failed")
            live.model_failed(error)
            return True

    def _open(self, client: Client, model: SpeakingModel, abilities: Abilities) -> bool:
        """Makes a client's session. One that cannot be made is refused to that client, and hurts no other."""
        session_id = f"sess_{next(self._session_numbers)}"
        try:
            client.live = LiveSession(model, abilities, client.link, self._make_detector, session_id)
        except (ValueError, RuntimeError, MemoryError) as error:
            log.warning("a session was refused: %s", error)
            self._lose(client, f"The engine cannot make a session: {error}")
        return True

    def _lose(self, client: Client, message: str) -> None:
        """Tells a client that its session has ended, frees it, and ends the connection."""
        client.lost = True
        live, client.live = client.live, None
        if live is not None:
            with contextlib.suppress(Exception):  # it has failed already
                live.close()
        client.link.send(ErrorEvent(EventError(message, "server_error", "session_failed")))
        client.link.finish(failed=True)

    def _n_living(self) -> int:
        with self._changed:
            return sum(client.live is not None for client in self._clients)

    def _handle_events(self, client: Client, live: LiveSession) -> bool:
        """All that has come, within reason: a client that floods must not keep the others waiting."""
        for _ in range(EVENTS_AT_ONCE):
            event = client.link.take()
            if event is None:
                return False
            client.last_heard_s = self._now_s()
            live.handle(event)
        return True

    def _detach(self, client: Client) -> None:
        with self._changed:
            self._clients.remove(client)
        if client.live is not None:
            client.live.close()
            client.live = None


def _claim(client: Client, now_s: float) -> Claim:
    if client.live is None:
        return Claim(has_input=not client.lost or client.link.closed, is_replying=False, lead_s=0.0)
    claim = client.live.claim(now_s)
    return replace(claim, has_input=claim.has_input or client.link.has_events or client.link.closed)


def is_out_of_memory(error: BaseException) -> bool:
    """torch's out-of-memory errors are RuntimeErrors; told apart without importing torch."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


def _load_failure(error: Exception) -> Failure:
    if is_out_of_memory(error) and isinstance(error, ValueError):  # refused before loading; it says what would fit
        return Failure(f"Not enough memory to load the model: {error}", "out_of_memory", EXIT_OUT_OF_MEMORY)
    if is_out_of_memory(error):
        return Failure(
            f"Not enough memory to load the model: {error} Close other programs, or choose a smaller checkpoint or "
            "--quantize int4.",
            "out_of_memory",
            EXIT_OUT_OF_MEMORY,
        )
    # What was raised on purpose is a sentence; of anything else the kind says more than the words.
    why = f"{error}" if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {error}"
    return Failure(f"The model could not be loaded: {why}", "model_load_failed", EXIT_LOAD_FAILED)


def _death(error: BaseException) -> Failure:
    if is_out_of_memory(error):
        return Failure(f"The engine ran out of memory: {error}", "out_of_memory", EXIT_OUT_OF_MEMORY)
    return Failure(f"The engine failed: {type(error).__name__}: {error}", "engine_failed", EXIT_MODEL_DIED)
