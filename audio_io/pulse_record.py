"""Records one source of the sound server (PulseAudio, or PipeWire in its place) and no other one.

When the last microphone is unplugged the speaker's monitor becomes the default source, and when the microphone is back
the server moves what was recorded from the former default to the new one. A monitor that is recorded by the simple
interface is then, without a word, the microphone: so this one forbids to be moved, and ends with its source.
"""

from __future__ import annotations

import ctypes
from collections.abc import Generator
from typing import Any, Final

import numpy as np

from audio_io.blocks import BLOCK_SAMPLES, Samples
from audio_io.pulse import FAILED, NO_AUTOSPAWN, READY, TERMINATED, BufferAttributes, SampleSpec

_FLOAT32LE: Final = 5
_UNSET: Final = 0xFFFFFFFF
_DONT_MOVE, _ADJUST_LATENCY = 0x0200, 0x2000
_STREAM_READY, _STREAM_ENDED = 2, (3, 4)
_WAIT_US: Final = 100_000
BLOCK_BYTES: Final = BLOCK_SAMPLES * 4
KEPT_BYTES: Final = 50 * BLOCK_BYTES
"""The server keeps so much for a reader that is late."""


def record(library: Any, name: bytes, source: str, rate_hz: int) -> Generator[Samples | None]:
    """Blocks of float32 [160, 1], or None after at most 0.1 s without one; ends when the source or the server does.

    `library` is `audio_io.pulse.load_library`'s. Close the iterator to end the recording.
    """
    loop = library.pa_mainloop_new()
    context = library.pa_context_new(library.pa_mainloop_get_api(loop), name)
    stream = None
    kept = bytearray()
    try:
        if library.pa_context_connect(context, None, NO_AUTOSPAWN, None) < 0:
            return
        while library.pa_context_get_state(context) not in (FAILED, TERMINATED):
            if stream is None and library.pa_context_get_state(context) == READY:
                stream = _connect(library, context, name, source, rate_hz)
            if stream is not None:
                if library.pa_stream_get_state(stream) in _STREAM_ENDED:
                    return
                _take(library, stream, kept)
            while len(kept) >= BLOCK_BYTES:
                yield np.frombuffer(bytes(kept[:BLOCK_BYTES]), np.float32).reshape(BLOCK_SAMPLES, 1)
                del kept[:BLOCK_BYTES]
            if not _turn(library, loop):
                return
            yield None
    finally:
        if stream is not None:
            library.pa_stream_disconnect(stream)
            library.pa_stream_unref(stream)
        library.pa_context_disconnect(context)
        library.pa_context_unref(context)
        library.pa_mainloop_free(loop)


def _connect(library: Any, context: Any, name: bytes, source: str, rate_hz: int) -> Any:
    stream = library.pa_stream_new(context, name, SampleSpec(_FLOAT32LE, rate_hz, 1), None)
    attributes = BufferAttributes(KEPT_BYTES, _UNSET, _UNSET, _UNSET, BLOCK_BYTES)
    library.pa_stream_connect_record(stream, source.encode(), attributes, _DONT_MOVE | _ADJUST_LATENCY)
    return stream


def _take(library: Any, stream: Any, kept: bytearray) -> None:
    """Appends what has come."""
    if library.pa_stream_get_state(stream) != _STREAM_READY:
        return
    data, size = ctypes.c_void_p(), ctypes.c_size_t()
    while library.pa_stream_peek(stream, data, size) == 0 and size.value:
        kept += ctypes.string_at(data.value, size.value) if data.value else bytes(size.value)  # a hole is silence
        library.pa_stream_drop(stream)


def _turn(library: Any, loop: Any) -> bool:
    """Waits for the server for a moment and lets the library work; False when the connection is lost."""
    return bool(
        library.pa_mainloop_prepare(loop, _WAIT_US) >= 0
        and library.pa_mainloop_poll(loop) >= 0
        and library.pa_mainloop_dispatch(loop) >= 0
    )
