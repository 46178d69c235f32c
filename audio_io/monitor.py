"""Everything that this computer plays, as the sound server's monitor of its output hands it out.

A screen reader, music or a call in the same loudspeakers is as much an echo as Sightline's own voice: with the monitor
as the canceller's reference it is taken out too. PulseAudio, and PipeWire in its place, have a monitor of every output.
Where there is none (no such server, macOS, Windows), only what Sightline plays itself is known.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from audio_io.blocks import BLOCK_S, BLOCK_SAMPLES, INSIDE_RATE_HZ, SILENT_BLOCK, Samples, seconds_to_blocks
from audio_io.echo_gate import EchoGate
from audio_io.reference import EchoReference

_RECORD: Final = 2
_FLOAT32LE: Final = 5
_UNSET: Final = 0xFFFFFFFF
BLOCK_BYTES: Final = BLOCK_SAMPLES * 4
KEPT_BYTES: Final = 50 * BLOCK_BYTES
RETRY_S: Final = 1.0
STOP_LIMIT_S: Final = 2.0
FRESH_S: Final = 0.5
"""Without sound for so long the monitor has stopped, and the other reference is used."""
LEAD_S: Final = 0.0
"""The server hands sound on when it makes it, before it leaves the speaker: the canceller models the way."""
OWN_QUIET_BLOCKS: Final = seconds_to_blocks(0.5)
"""After Sightline's own sound what plays counts as another program's."""
DEFAULT_MONITOR: Final = "@DEFAULT_MONITOR@"


class _SampleSpec(ctypes.Structure):
    _fields_ = (("format", ctypes.c_int), ("rate", ctypes.c_uint32), ("channels", ctypes.c_uint8))


class _BufferAttributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("maxlength", "tlength", "prebuf", "minreq", "fragsize"))


def load_simple() -> Any:
    """libpulse's simple interface with the signatures of what is used here; None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        library: Any = ctypes.CDLL("libpulse-simple.so.0")
    except OSError:
        return None
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_int)
    spec, attributes = ctypes.POINTER(_SampleSpec), ctypes.POINTER(_BufferAttributes)
    library.pa_simple_new.restype = pointer
    library.pa_simple_new.argtypes = [text, text, ctypes.c_int, text, text, spec, pointer, attributes, number]
    library.pa_simple_read.restype = ctypes.c_int
    library.pa_simple_read.argtypes = [pointer, pointer, ctypes.c_size_t, number]
    library.pa_simple_free.restype = None
    library.pa_simple_free.argtypes = [pointer]
    return library


class Arrival:
    """When each block of a stream was made, from when it was read: reading can be late, never early.

    So the earliest reading counts. When everything has come later for a while, the server has moved its buffers
    (another program begins to play): then the time line moves too.
    """

    LATE_S: Final = 0.02
    AFTER_S: Final = 0.06
    FOLLOW_S: Final = 2e-6
    """A block may be so much later than the earliest: clocks differ by up to 200 ppm."""

    def __init__(self) -> None:
        self._n_blocks = 0
        self._zero_s: float | None = None  # when block 0 was made
        self._late_since_s: float | None = None
        self._late_zero_s = 0.0  # the earliest while all are late

    def take(self, read_at_s: float) -> tuple[float, bool]:
        """For the next block: its time, and whether the time line has moved. Times of `time.monotonic`."""
        zero_s = read_at_s - (self._n_blocks + 1) * BLOCK_S
        moved = False
        if self._zero_s is None or zero_s <= self._zero_s:
            moved = self._zero_s is not None and self._zero_s - zero_s > self.LATE_S
            self._zero_s, self._late_since_s = zero_s, None
        elif zero_s - self._zero_s < self.LATE_S:
            self._zero_s += self.FOLLOW_S
            self._late_since_s = None
        elif self._late_since_s is None:
            self._late_since_s, self._late_zero_s = read_at_s, zero_s
        else:
            self._late_zero_s = min(self._late_zero_s, zero_s)
            if read_at_s - self._late_since_s > self.AFTER_S:
                self._zero_s, self._late_since_s, moved = self._late_zero_s, None, True
        at_s = self._zero_s + self._n_blocks * BLOCK_S
        self._n_blocks += 1
        return at_s, moved


class OutputMonitor:
    """Records the monitor in a thread of its own and feeds `reference` with it, at 16 kHz and one channel.

    `sink` gives the name of the output that Sightline plays to, or "" for the server's default; it is asked again after
    each interruption, and when it has changed.
    """

    def __init__(self, sink: Callable[[], str] = lambda: "") -> None:
        self.reference = EchoReference(LEAD_S)
        self._sink = sink
        self._heard_at_s = -FRESH_S
        self._stopping = threading.Event()
        self._anew = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def runs(self) -> bool:
        """Sound (or silence) of the monitor came just now."""
        return time.monotonic() - self._heard_at_s < FRESH_S

    def start(self) -> None:
        """Does nothing where there is no such server."""
        library = load_simple()
        if library is not None and self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(library,), name="output monitor", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """May be called twice. A server that hangs keeps the (daemon) thread beyond the time limit."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_LIMIT_S)

    def record_anew(self) -> None:
        """To be called when the microphone is back; from any thread.

        Without one the monitor is the server's default source, and the server moves what is recorded from the former
        default to the new one: without a word the monitor would be the microphone, and the user their own echo.
        """
        self._anew.set()

    def _run(self, library: Any) -> None:
        while not self._stopping.is_set():
            self._anew.clear()
            self._record(library)
            if not self._anew.is_set():
                self._stopping.wait(RETRY_S)

    def _record(self, library: Any) -> None:
        """Until the server ends, another output is chosen, or `stop`."""
        sink = self._sink()
        source = f"{sink}.monitor" if sink else DEFAULT_MONITOR
        spec = _SampleSpec(_FLOAT32LE, INSIDE_RATE_HZ, 1)
        attributes = _BufferAttributes(KEPT_BYTES, _UNSET, _UNSET, _UNSET, BLOCK_BYTES)
        stream = library.pa_simple_new(
            None, b"Sightline", _RECORD, source.encode(), b"echo reference", spec, None, attributes, None
        )
        if not stream:
            return
        playback = self.reference.open(INSIDE_RATE_HZ)
        arrival = Arrival()
        block = np.zeros((BLOCK_SAMPLES, 1), np.float32)
        with contextlib.ExitStack() as stack:
            stack.callback(library.pa_simple_free, stream)
            stack.callback(self.reference.close)
            while not (self._stopping.is_set() or self._anew.is_set()) and self._sink() == sink:
                if library.pa_simple_read(stream, block.ctypes.data, BLOCK_BYTES, None) < 0:
                    return
                self._heard_at_s = now_s = time.monotonic()
                at_s, moved = arrival.take(now_s)
                if moved:
                    playback = self.reference.open(INSIDE_RATE_HZ)
                playback.write(block, at_s)


class AllThatPlays:
    """The monitor's sound while it runs, else what Sightline plays itself. Owned by the microphone's thread."""

    def __init__(self, monitor: OutputMonitor, own: EchoReference) -> None:
        self._monitor = monitor
        self._own = own
        self._gate = EchoGate()
        self._others: Samples = SILENT_BLOCK
        self._own_quiet_blocks = 0
        self._unknown = False

    def block_for(self, captured_at_s: float | None) -> Samples:
        # Both are read, so that neither falls behind.
        own = self._own.block_for(captured_at_s)
        self._unknown = self._monitor.runs and not self._monitor.reference.knows(captured_at_s)
        everything = self._monitor.reference.block_for(captured_at_s)
        self._own_quiet_blocks = 0 if np.any(own) else self._own_quiet_blocks + 1
        alone = self._monitor.runs and self._own_quiet_blocks > OWN_QUIET_BLOCKS
        self._others = everything if alone else SILENT_BLOCK
        return everything if self._monitor.runs else own

    def is_echo(self, near: Samples) -> bool:
        """Only while Sightline itself is silent: the user must be able to speak into its replies."""
        return not self._gate.passes(near, self._others) or self._unknown

    def covers(self, captured_at_s: float | None) -> bool:
        return not self._monitor.runs or self._monitor.reference.covers(captured_at_s)
