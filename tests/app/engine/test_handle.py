"""The app's one handle on its engine: remote over a real server, local over real processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from app.engine.choice import target_of
from app.engine.handle import EngineHandle, LocalEngine, RemoteEngine
from app.ports import EngineBusy, EngineChoice, EngineDown, EngineSaid, EngineUp
from model.realtime.events import (
    ContentPart,
    ConversationItemCreate,
    InputAudioBufferAppend,
    InputAudioBufferCommit,
    InputAudioBufferCommitted,
    Item,
    ResponseCreate,
    ResponseDone,
    SessionCreated,
)
from tests.app.engine_server import PATIENCE_S, TOKEN, Inbox, engine_server
from tests.model.realtime.harness import pcm16
from tests.sound_server import wait_until

ENGINE = str(Path(__file__).parents[1] / "scripted_engine.py")


def scripted(*arguments: str) -> LocalEngine:
    return LocalEngine((sys.executable, ENGINE, *arguments, "--exit-with-stdin"))


def make(choice: EngineChoice) -> LocalEngine | RemoteEngine:
    return RemoteEngine(target_of(choice)) if choice.url else scripted(*choice.checkpoint.split("|")[1:])


def remote(url: str) -> EngineChoice:
    return EngineChoice(url=url, token=TOKEN)


def local(*arguments: str) -> EngineChoice:
    return EngineChoice(checkpoint="|".join(("", *arguments)))


def said(inbox: Inbox, kind: type[Any]) -> Any:
    """The next server event of this type."""
    while not isinstance(event := inbox.until(EngineSaid).event, kind):
        pass
    return event


def speak(handle: EngineHandle, inbox: Inbox) -> str:
    for event in (InputAudioBufferAppend(pcm16(0.5)), InputAudioBufferCommit(), ResponseCreate()):
        handle.send(event)
    return str(said(inbox, ResponseDone).response.status)


def test_a_remote_engine() -> None:
    inbox = Inbox()
    with engine_server() as url:
        handle = EngineHandle(make, label=str.upper)
        handle.send(ResponseCreate())  # to nobody
        session = handle.start(inbox, remote(url))
        assert inbox.until(EngineBusy) == EngineBusy("connecting", session)
        up = inbox.until(EngineUp)
        assert (up.model, up.url, up.remote, up.voices) == ("SCRIPTED", url, False, ("ethan", "chelsie"))
        assert up.session == session
        assert up.abilities.takes_back
        said(inbox, SessionCreated)
        assert speak(handle, inbox) == "completed"
        assert handle.stop()
        assert handle.stop()


def test_a_new_session_forgets_the_conversation() -> None:
    inbox = Inbox()
    with engine_server() as url:
        handle = EngineHandle(make)
        session = handle.start(inbox, remote(url))
        inbox.until(EngineUp)
        for _ in range(3):
            assert speak(handle, inbox) == "completed"
            before, session = session, handle.new_session()
            assert session == before + 1
            assert inbox.until(EngineUp).session == session
        handle.send(InputAudioBufferAppend(pcm16(0.5)))
        handle.send(InputAudioBufferCommit())
        assert said(inbox, InputAudioBufferCommitted).previous_item_id is None
        handle.stop()


def test_every_message_says_which_session_it_is_about() -> None:
    inbox = Inbox()
    with engine_server() as url:
        handle = EngineHandle(make)
        first = handle.start(inbox, remote(url))
        inbox.until(EngineUp)
        second = handle.new_session()
        inbox.until(EngineUp)
        third = handle.start(inbox, remote(url))
        inbox.until(EngineUp)
        handle.stop()
    numbers = [message.session for message in inbox.seen]
    assert numbers == sorted(numbers)
    assert set(numbers) == {first, second, third}


def test_nothing_is_sent_between_asking_for_a_session_and_its_beginning() -> None:
    """An engine that is up, but is not the one that was asked for last, gets nothing: it would be lost with it."""
    inbox = Inbox()
    with engine_server() as url:
        handle = EngineHandle(make)
        handle.start(inbox, remote(url))
        inbox.until(EngineUp)
        handle.new_session()
        handle.send(
            ConversationItemCreate(Item("message", role="user", content=(ContentPart("input_text", text="early"),)))
        )
        inbox.until(EngineUp)
        handle.send(InputAudioBufferAppend(pcm16(0.5)))
        handle.send(InputAudioBufferCommit())
        assert said(inbox, InputAudioBufferCommitted).previous_item_id is None
        handle.stop()


def test_a_new_session_of_an_engine_that_is_gone_is_told_so() -> None:
    """Whoever waits for the new session must not wait for ever, though the end was told of the old one."""
    inbox = Inbox()
    with engine_server() as url:
        handle = EngineHandle(make)
        handle.start(inbox, remote(url))
        inbox.until(EngineUp)
    inbox.until(EngineDown)
    session = handle.new_session()
    assert inbox.until(EngineDown).session == session
    handle.stop()


def test_a_remote_engine_that_goes_away_is_looked_for_again() -> None:
    inbox = Inbox()
    with engine_server() as url:
        handle = EngineHandle(make)
        handle.start(inbox, remote(url))
        inbox.until(EngineUp)
    assert not inbox.until(EngineDown).final
    handle.send(ResponseCreate())
    handle.start(inbox, remote(url), delay_s=0.01)
    assert url in inbox.until(EngineDown).reason
    handle.stop()


def test_what_cannot_be_started_ends_what_runs() -> None:
    inbox = Inbox()
    with engine_server() as url:
        handle = EngineHandle(make)
        handle.start(inbox, remote(url))
        inbox.until(EngineUp)
        session = handle.start(inbox, remote("http://somewhere"))
        down = inbox.until(EngineDown)
        assert (down.session, down.final) == (session, True)
        assert "expected ws://" in down.reason
        handle.start(inbox, remote(url))  # the server takes one client: the first has left
        inbox.until(EngineUp)
        handle.stop()


def test_a_local_engine_killed_and_started_again() -> None:
    inbox = Inbox()
    handle = EngineHandle(make)
    handle.start(inbox, local())
    assert inbox.until(EngineBusy).detail == "loading the model"
    inbox.until(EngineUp)
    assert speak(handle, inbox) == "completed"
    first_pid = handle.pid
    assert first_pid is not None
    os.kill(first_pid, signal.SIGKILL)
    down = inbox.until(EngineDown)
    assert "memory" in down.reason
    assert not down.final
    handle.start(inbox, local(), delay_s=0.01)
    inbox.until(EngineUp)
    assert handle.pid != first_pid
    assert speak(handle, inbox) == "completed"
    second_pid = handle.pid
    assert second_pid is not None
    began_s = time.monotonic()
    assert handle.stop(3.0)
    assert time.monotonic() - began_s < 3.0
    wait_until(lambda: not Path(f"/proc/{second_pid}").exists(), "the process is gone", PATIENCE_S)


def test_a_local_engine_whose_model_cannot_be_loaded() -> None:
    inbox = Inbox()
    handle = EngineHandle(make)
    handle.start(inbox, local("--fail", "model.safetensors: tensor 'x' is missing. Download it again."))
    down = inbox.until(EngineDown)
    assert "tensor 'x' is missing" in down.reason
    assert down.final
    assert handle.stop()


def test_stopping_while_the_model_loads_or_hangs() -> None:
    inbox = Inbox()
    handle = EngineHandle(make)
    handle.start(inbox, local("--hang"))
    inbox.until(EngineBusy)
    wait_until(lambda: handle.pid is not None, "the engine has been started", 20)
    began_s = time.monotonic()
    assert handle.stop(3.0)
    assert time.monotonic() - began_s < 3.0
    assert inbox.nothing_more()


def test_stop_without_start() -> None:
    assert EngineHandle(make).stop()
