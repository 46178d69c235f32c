"""Queue, utterance sounds, latency and the wire's translation."""

from __future__ import annotations

import base64
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app import effects as fx
from app import events as ev
from app.inbox import Inbox, Overflow
from app.latency import LatencyMeter
from app.performer import Performer
from app.publisher import Publisher
from app.settings import SettingsStore
from app.sounds import MAX_KEPT, MAX_SAMPLES, Sounds
from app.translator import Translator
from app.view import View
from app.wire import response_create, session_update, sound_append, text_item
from model.realtime.events import client_event_json, parse_client_event, parse_server_event


class Level:
    def __init__(self, value: int) -> None:
        self.value = value


def test_a_full_queue_does_what_each_message_asks_for() -> None:
    inbox: Inbox[object] = Inbox(capacity=2, reserve=1)
    assert inbox.put("sound 1", Overflow.REFUSE)
    assert inbox.put("sound 2", Overflow.REFUSE)
    assert not inbox.put("sound 3", Overflow.REFUSE)
    assert inbox.put("command", Overflow.MUST)
    assert not inbox.put("one command too many", Overflow.MUST)
    newest = Level(2)
    assert inbox.put(Level(1), Overflow.NEWEST)
    assert inbox.put(newest, Overflow.NEWEST)
    assert inbox.take(0.0) == ("sound 1", "sound 2", "command", newest)
    assert inbox.take(0.0) == ()


def test_a_writer_that_waits_goes_on_when_there_is_room_or_the_end() -> None:
    inbox: Inbox[int] = Inbox(capacity=1, reserve=0)
    inbox.put(1, Overflow.WAIT)
    results: list[bool] = []
    writer = threading.Thread(target=lambda: results.extend(inbox.put(n, Overflow.WAIT) for n in (2, 3, 4)))
    writer.start()
    assert inbox.take(5.0) == (1,)
    assert inbox.take(5.0) == (2,)
    inbox.close()
    writer.join(5.0)
    assert not writer.is_alive()
    assert results[0]
    assert results[-1] is False


@given(st.lists(st.tuples(st.sampled_from(["add", "stream", "hold", "rewind"]), st.integers(1, 900)), max_size=40))
def test_the_engine_gets_every_sample_once_and_in_order(steps: list[tuple[str, int]]) -> None:
    sent: list[NDArray[np.float32]] = []
    sounds = Sounds(sent.append)
    sounds.begin(1)
    n_added = 0
    for step, n_samples in steps:
        if step == "add":
            sounds.add(1, np.arange(n_added, n_added + n_samples, dtype=np.float32))
            n_added += n_samples
        elif step == "stream":
            sounds.stream(1)
        elif step == "hold":
            sounds.hold(1)
        else:
            sounds.rewind(1)
            sent.clear()
    sounds.stream(1)
    sounds.hold(1)
    got = np.concatenate(sent) if sent else np.empty(0, np.float32)
    assert np.array_equal(got, np.arange(n_added, dtype=np.float32))


def test_sounds_are_bounded_and_what_is_lost_is_counted() -> None:
    sounds = Sounds(lambda _: None)
    for number in range(MAX_KEPT + 3):
        sounds.begin(number)
    sounds.add(0, np.zeros(160, np.float32))  # long forgotten
    assert sounds.lost_samples == 0
    sounds.add(MAX_KEPT, np.zeros(MAX_SAMPLES, np.float32))
    sounds.add(MAX_KEPT, np.zeros(160, np.float32))
    assert sounds.lost_samples == 160


def test_latency_runs_from_the_arrival_of_the_last_voice() -> None:
    meter = LatencyMeter()
    for number in range(200):
        meter.sound_arrived(number * 0.01, 10.0 + number * 0.01)
    meter.reply_asked(1, 7, 11.3)  # on a guess, before the end was certain
    meter.utterance_ended(7, voice_end_s=1.0, now_s=11.6)
    meter.text_arrived(1, 11.5)
    meter.text_arrived(1, 99.0)
    meter.speech_arrived(1, 11.55)
    latency = meter.playback_started(1, 11.7)
    assert latency is not None
    assert (latency.commit_ms, latency.first_text_ms, latency.first_speech_ms) == (300.0, 500.0, 550.0)
    assert (latency.segment_end_ms, latency.first_sample_ms) == (600.0, 700.0)
    assert meter.playback_started(1, 12.0) is None


def test_no_subscriber_gets_an_old_view_after_a_newer_one() -> None:
    front = Publisher(View())
    got: list[float] = []
    asked, newer_came = threading.Event(), threading.Event()

    def on_view(view: View) -> None:
        if not asked.is_set():  # the first view is on its way when the next one is made
            asked.set()
            assert not newer_came.wait(0.3)
        got.append(view.level_dbfs)

    def publish() -> None:
        assert asked.wait(10)
        front.change(level_dbfs=-20.0)
        front.publish(1.0)
        newer_came.set()

    owner = threading.Thread(target=publish)
    owner.start()
    front.subscribe(on_view, None)
    owner.join(10)
    assert got == [-100.0, -20.0]


def test_what_is_sent_can_be_read() -> None:
    loud = np.array([-2.0, -1.0, 0.0, 0.5, 2.0], np.float32)
    append = sound_append(loud)
    assert np.frombuffer(base64.b64decode(append.audio), "<i2").tolist() == [-32767, -32767, 0, 16384, 32767]
    update = session_update("be brief", "ethan", speech=True, transcribe=True)
    for event in (append, update, text_item("hi", b"jpeg"), response_create(3, True, 9)):
        assert parse_client_event(client_event_json(event)) == event


def test_replies_are_told_apart_with_and_without_metadata() -> None:
    translator = Translator()
    translator.asked(4)
    translator.asked(5)
    named = parse_server_event('{"type":"response.created","response":{"id":"b","metadata":{"reply":"5"}}}')
    plain = parse_server_event('{"type":"response.created","response":{"id":"a"}}')
    assert translator.translate(named, 1.0) == (ev.ReplyCreated(1.0, 5, "b"),)
    assert translator.translate(plain, 1.0) == (ev.ReplyCreated(1.0, 4, "a"),)
    assert translator.translate(plain, 1.0) == ()


def test_errors_find_the_reply_they_belong_to(caplog: pytest.LogCaptureFixture) -> None:
    translator = Translator()
    translator.asked(4)
    refused = parse_server_event('{"type":"error","error":{"message":"no room","type":"x","event_id":"reply-4"}}')
    other = parse_server_event('{"type":"error","error":{"message":"odd","type":"x","code":"c"}}')
    assert translator.translate(refused, 1.0) == (ev.ReplyRefused(1.0, 4, "no room"),)
    assert translator.translate(other, 1.0) == ()
    assert "the engine reports: odd (c)" in caplog.text
    fatal = parse_server_event('{"type":"error","error":{"message":"no","type":"x","code":"model_load_failed"}}')
    assert translator.translate(fatal, 1.0) == ()  # said once, as the reason why the engine went


def test_speech_that_is_no_base64_is_a_message_not_a_crash(caplog: pytest.LogCaptureFixture) -> None:
    broken = parse_server_event('{"type":"response.output_audio.delta","response_id":"a","item_id":"i","delta":"%%%"}')
    assert Translator().translate(broken, 1.0) == ()
    assert "could not be read" in caplog.text


def test_a_new_session_is_not_answered_with_what_was_asked_of_the_old_one(tmp_path: Path) -> None:
    """An engine that gives no metadata back answers in order: an unanswered question must not shift the answers."""
    sent: list[object] = []
    parts: Any = SimpleNamespace(engine=SimpleNamespace(send=sent.append, new_session=lambda: 2))
    settings = SettingsStore(tmp_path).settings
    performer = Performer(
        parts, lambda _: None, settings, None, LatencyMeter(), lambda _: None, lambda _: None, lambda: 0.0, lambda: 0.0
    )
    performer.perform(fx.CreateReply(1, 60.0))
    performer.perform(fx.NewSession())
    performer.perform(fx.CreateReply(2, 60.0))
    created = parse_server_event('{"type": "response.created", "event_id": "e", "response": {"id": "resp-2"}}')
    assert performer.translator.translate(created, 1.0) == (ev.ReplyCreated(1.0, 2, "resp-2"),)
