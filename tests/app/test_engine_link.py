"""The app's handle on its engine: remote over a real server, local over real processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from app.engine_link import EngineDown, EngineLink, EngineUp, LocalEngine, RemoteEngine
from model.realtime.events import (
    InputAudioBufferAppend,
    InputAudioBufferCommit,
    InputAudioBufferCommitted,
    ResponseCreate,
    ResponseDone,
    SessionCreated,
)
from tests.app.engine_server import TOKEN, Inbox, engine_server
from tests.model.realtime.harness import pcm16
from tests.sound_server import wait_until

ENGINE = str(Path(__file__).parent / "scripted_engine.py")


def local(*arguments: str) -> LocalEngine:
    return LocalEngine((sys.executable, ENGINE, *arguments, "--exit-with-stdin"))


def speak(link: EngineLink, inbox: Inbox) -> str:
    for event in (InputAudioBufferAppend(pcm16(0.5)), InputAudioBufferCommit(), ResponseCreate()):
        assert link.send(event)
    return str(inbox.until(ResponseDone).response.status)


def test_a_remote_engine() -> None:
    inbox = Inbox()
    with engine_server() as url:
        link = EngineLink(RemoteEngine(url, TOKEN), inbox)
        assert not link.send(ResponseCreate())
        link.start()
        up = inbox.until(EngineUp)
        assert (up.url, up.leaves_this_machine, up.model, up.voices) == (url, False, "scripted", ("ethan", "chelsie"))
        inbox.until(SessionCreated)
        assert speak(link, inbox) == "completed"
        assert link.stop()
        assert link.stop()


def test_a_new_session_forgets_the_conversation() -> None:
    inbox = Inbox()
    with engine_server() as url:
        link = EngineLink(RemoteEngine(url, TOKEN), inbox)
        link.start()
        inbox.until(EngineUp)
        for _ in range(3):
            assert speak(link, inbox) == "completed"
            link.new_session()
            inbox.until(EngineUp)
        link.send(InputAudioBufferAppend(pcm16(0.5)))
        link.send(InputAudioBufferCommit())
        assert inbox.until(InputAudioBufferCommitted).previous_item_id is None
        link.stop()


def test_a_remote_engine_that_goes_away_is_looked_for_again() -> None:
    inbox = Inbox()
    with engine_server() as url:
        link = EngineLink(RemoteEngine(url, TOKEN), inbox)
        link.start()
        inbox.until(EngineUp)
    down = inbox.until(EngineDown)
    assert not down.final
    assert not link.send(ResponseCreate())
    link.start(delay_s=0.01)
    assert url in inbox.until(EngineDown).reason
    link.stop()


def test_what_is_no_address_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="expected ws://"):
        RemoteEngine("http://somewhere", "token")


def test_a_local_engine_killed_and_started_again() -> None:
    inbox = Inbox()
    link = EngineLink(local(), inbox)
    link.start()
    inbox.until(EngineUp)
    assert speak(link, inbox) == "completed"
    first_pid = link.pid
    assert first_pid is not None
    os.kill(first_pid, signal.SIGKILL)
    down = inbox.until(EngineDown)
    assert "memory" in down.reason
    assert not down.final
    link.start(delay_s=0.01)
    inbox.until(EngineUp)
    assert link.pid != first_pid
    assert speak(link, inbox) == "completed"
    second_pid = link.pid
    assert second_pid is not None
    began_s = time.monotonic()
    assert link.stop(3.0)
    assert time.monotonic() - began_s < 3.0
    with pytest.raises(ProcessLookupError):
        os.kill(second_pid, 0)


def test_a_local_engine_whose_model_cannot_be_loaded() -> None:
    inbox = Inbox()
    link = EngineLink(local("--fail", "model.safetensors: tensor 'x' is missing. Download it again."), inbox)
    link.start()
    down = inbox.until(EngineDown)
    assert "tensor 'x' is missing" in down.reason
    assert down.final
    assert link.stop()


def test_stopping_while_the_model_loads_or_hangs() -> None:
    inbox = Inbox()
    link = EngineLink(local("--hang"), inbox)
    link.start()
    wait_until(lambda: link.pid is not None, "the engine has been started", 20)
    began_s = time.monotonic()
    assert link.stop(3.0)
    assert time.monotonic() - began_s < 3.0
    assert inbox.nothing_more()


def test_stop_without_start() -> None:
    assert EngineLink(local(), Inbox()).stop()
