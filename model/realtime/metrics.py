"""What the engine counts of itself, as Prometheus text: sessions, first sounds, real-time factor, drop-outs."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from model.realtime.config import SPEECH_RATE_HZ
from model.realtime.server_events import (
    ErrorEvent,
    InputAudioBufferCommitted,
    OutputAudioDelta,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SpeechStopped,
)

BYTES_PER_S = 2 * SPEECH_RATE_HZ
FIRST_SOUND_BUCKETS_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
FACTOR_BUCKETS = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.25, 1.5, 2.0, 3.0)
TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class _Response:
    """The speech of one response so far. Times in seconds."""

    asked_s: float
    first_s: float | None = None
    last_s: float = 0.0
    spoken_s: float = 0.0


class Metrics:
    """One engine's counts. `text` may be called from any thread, everything else from the one that sends."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._lock = threading.Lock()
        registry = self._registry
        self._sessions = Gauge("sightline_active_sessions", "Conversations now", registry=registry)
        self._sessions_total = Counter("sightline_sessions", "Conversations since the start", registry=registry)
        self._responses = Counter("sightline_responses", "Responses by how they ended", ["status"], registry=registry)
        self._errors = Counter("sightline_errors", "Error events by code", ["code"], registry=registry)
        self._first_sound = Histogram(
            "sightline_first_sound_seconds",
            "From the end of the turn, or the request where there was none, to the first sound of the reply",
            buckets=FIRST_SOUND_BUCKETS_S,
            registry=registry,
        )
        self._factor = Histogram(
            "sightline_real_time_factor",
            "Time from the first to the last sound of a reply, by the length of its speech",
            buckets=FACTOR_BUCKETS,
            registry=registry,
        )
        self._dropouts = Counter(
            "sightline_dropouts",
            "Pieces of speech that came after what was before them had been played",
            registry=registry,
        )
        self._ended_s: dict[object, float] = {}
        self._running: dict[str, _Response] = {}

    def connected(self) -> None:
        self._sessions.inc()
        self._sessions_total.inc()

    def disconnected(self, client: object) -> None:
        self._sessions.dec()
        with self._lock:
            self._ended_s.pop(client, None)

    def sent(self, client: object, event: ServerEvent, now_s: float) -> None:
        """Counts one event on its way to a client."""
        with self._lock:
            match event:
                case SpeechStopped() | InputAudioBufferCommitted():
                    self._ended_s[client] = now_s
                case ResponseCreated() if event.response.id is not None:
                    self._running[event.response.id] = _Response(self._ended_s.pop(client, now_s))
                case OutputAudioDelta():
                    self._sound(event, now_s)
                case ResponseDone() if event.response.id is not None:
                    self._done(event.response.id, event.response.status or "unknown")
                case ErrorEvent():
                    self._errors.labels(event.error.code or "none").inc()
                case _:
                    pass

    def text(self) -> bytes:
        """All counts in Prometheus' text format."""
        return generate_latest(self._registry)

    def _sound(self, event: OutputAudioDelta, now_s: float) -> None:
        response = self._running.get(event.response_id)
        if response is None:
            return
        if response.first_s is None:
            response.first_s = now_s
            self._first_sound.observe(now_s - response.asked_s)
        elif now_s - response.first_s > response.spoken_s:
            self._dropouts.inc()
        response.spoken_s += len(event.delta) * 3 / 4 / BYTES_PER_S
        response.last_s = now_s

    def _done(self, response_id: str, status: str) -> None:
        self._responses.labels(status).inc()
        response = self._running.pop(response_id, None)
        if response is not None and response.first_s is not None and response.spoken_s:
            self._factor.observe((response.last_s - response.first_s) / response.spoken_s)
