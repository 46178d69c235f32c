"""What is said about a device is true: a stream that only stood still is no unplugged device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from audio_io.device_keeper import SETTLE_S, STALL_LIMIT_S, DeviceKeeper
from audio_io.errors import DeviceUnavailableError
from audio_io.events import DeviceBack, DeviceEvent, DeviceLost, DeviceOpened
from audio_io.host import OpenStream


class Host:
    """A sound system in which one speaker can be opened as long as `there`."""

    restart_wanted = False

    def __init__(self) -> None:
        self.there = True
        self.opened = 0

    def open(self, _device: str | int | None, _finished: Callable[[], None]) -> OpenStream:
        if not self.there:
            raise DeviceUnavailableError("There is no speaker.", "Plug one in.")
        self.opened += 1
        return OpenStream(None, "speaker", "Desk", 48_000, 1, 0.02)

    def absence(self, _kind: str, _device: object) -> str | None:
        return None

    def close(self, _stream: OpenStream) -> None: ...

    def want_restart(self) -> None: ...

    def portaudio_devices(self) -> list[Any]:
        return []


class Desk:
    def __init__(self) -> None:
        self.host = Host()
        self.events: list[DeviceEvent] = []
        host: Any = self.host
        self.keeper = DeviceKeeper(host, "speaker", None, self.host.open, self.events.append)
        self.now_s = 0.0
        self.callbacks = 0

    def run(self, seconds: float, *, moving: bool) -> None:
        for _ in range(round(seconds * 10)):
            self.now_s += 0.1
            self.callbacks += moving
            self.keeper.tick(self.now_s, self.callbacks, may_close=True)


def settled() -> Desk:
    desk = Desk()
    desk.run(SETTLE_S + 2, moving=True)
    assert [type(event) for event in desk.events] == [DeviceOpened]
    return desk


def test_a_stream_that_stood_still_is_opened_again_without_a_word() -> None:
    desk = settled()
    desk.run(STALL_LIMIT_S + 0.5, moving=False)
    desk.run(2.0, moving=True)
    assert desk.host.opened == 2
    assert [type(event) for event in desk.events] == [DeviceOpened]


def test_one_that_cannot_be_opened_again_is_lost_and_comes_back() -> None:
    desk = settled()
    desk.host.there = False
    desk.run(STALL_LIMIT_S + 0.5, moving=False)
    (_, lost) = desk.events
    assert isinstance(lost, DeviceLost)
    assert lost.name == "Desk"
    assert "unplugged" not in lost.message
    desk.host.there = True
    desk.run(8.0, moving=True)
    assert isinstance(desk.events[-1], DeviceBack)
    desk.keeper.join(1.0)


def test_one_that_stays_still_when_opened_again_is_lost_for_what_it_does() -> None:
    desk = settled()
    desk.run(STALL_LIMIT_S + SETTLE_S + 1.5, moving=False)
    (_, lost) = desk.events
    assert isinstance(lost, DeviceLost)
    assert "no sound passes" in lost.message
