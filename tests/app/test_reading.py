"""Reading aloud and looking without the model: verbatim, passage by passage, in the user's hands."""

from __future__ import annotations

import pytest

from app import effects as fx
from app import events as ev
from app.config import Config
from app.phrases import phrase
from app.reading import marked, reading_view, spelt
from app.view import Problem
from tests.app.test_conversation import Story, of

TEXT = (("Dear Ms Okafor,", ()), ("your parcel is here.", ("parcel",)), ("Call 555 0199.", ()))


def said(effects: list[fx.Effect]) -> list[str]:
    return [effect.text for effect in of(fx.Say, effects)]


def announced(effects: list[fx.Effect]) -> list[str]:
    return [effect.announcement.text for effect in of(fx.Announce, effects)]


def reading() -> Story:
    story = Story(ready=False)
    assert of(fx.ReadText, story.now(ev.ReadAsked(1.0))) == [fx.ReadText()]
    assert said(story.now(ev.TextFound(2.0, TEXT))) == ["Dear Ms Okafor,"]
    return story


def test_it_reads_without_an_engine_and_sentence_by_sentence() -> None:
    story = reading()
    assert story.said == [("user", "Read the text aloud.", ""), ("assistant", "Dear Ms Okafor,", "")]
    assert said(story.now(ev.Tick(2.5))) == []
    assert said(story.now(ev.Tick(4.0))) == ["your parcel is here. Doubtful: parcel."]
    assert said(story.now(ev.Tick(9.0))) == ["Call 555 0199."]
    assert said(story.now(ev.Tick(15.0), ev.Tick(30.0))) == []
    turn = story.state.transcript[-1]
    assert turn.text == "Dear Ms Okafor,\nyour parcel (?) is here.\nCall 555 0199."
    assert turn.done
    assert not turn.cut
    assert len([e for e in story.effects if isinstance(e, fx.SaveTurn) and e.turn.role == "assistant"]) == 1


def test_the_user_leads() -> None:
    story = reading()
    assert said(story.now(ev.ReadingMoved(2.2, "next"))) == ["your parcel is here. Doubtful: parcel."]
    assert said(story.now(ev.ReadingMoved(2.4, "back"))) == ["Dear Ms Okafor,"]
    assert said(story.now(ev.ReadingMoved(2.6, "back"))) == ["Dear Ms Okafor,"]
    assert said(story.now(ev.ReadingMoved(2.8, "pause"))) == [""]
    assert said(story.now(ev.Tick(60.0))) == []
    assert said(story.now(ev.ReadingMoved(61.0, "pause"))) == ["Dear Ms Okafor,"]
    assert said(story.now(ev.ReadingMoved(61.2, "spell")))[0].startswith("capital D, e, a, r, space, capital M")
    story.now(ev.ReadingMoved(62.0, "next"), ev.ReadingMoved(62.1, "next"))
    assert (
        of(fx.Announce, story.now(ev.ReadingMoved(62.2, "next")))[0].announcement.text
        == "That was the end of the text."
    )
    assert said(story.now(ev.ReadingMoved(62.4, "again"))) == ["Call 555 0199."]
    view = reading_view(story.state.reading)
    assert view is not None
    assert (view.number, view.total, view.active) == (3, 3, True)
    assert view.text == "Dear Ms Okafor,\nyour parcel is here.\nCall 555 0199."


def test_whoever_speaks_comes_first_and_stop_is_stop() -> None:
    story = reading()
    story.now(ev.EngineReady(2.1))
    assert said(story.now(ev.VoiceStarted(2.2, 1))) == [""]
    assert said(story.now(ev.VoiceDropped(2.5, 1), ev.Tick(50.0))) == []
    assert said(story.now(ev.ReadingMoved(51.0, "again"))) == ["Dear Ms Okafor,"]
    assert said(story.now(ev.StopAsked(51.2))) == [""]
    assert story.said[-1] == ("assistant", "Dear Ms Okafor,", "stopped")
    assert said(story.now(ev.Tick(90.0))) == []


def test_no_text_advice_and_failure_are_said() -> None:
    for found, told in (
        (ev.TextFound(2.0), "There is no text in the picture."),
        (ev.TextFound(2.0, advice="Move closer."), "Move closer."),
        (ev.TextFound(2.0, failure="no models"), "no models"),
    ):
        story = Story(ready=False)
        story.now(ev.ReadAsked(1.0))
        assert said(story.now(found)) == [told]
        assert story.said[-1] == ("assistant", told, "")
    cut = story.now(ev.TextFound(3.0, TEXT, advice="The text is cut off at the left. Move the camera left."))
    assert of(fx.Announce, cut)[0].announcement.text.startswith("The text is cut off")
    assert story.now(ev.ReadingMoved(4.0, "pause"))
    nothing = Story()
    assert (
        of(fx.Announce, nothing.now(ev.ReadingMoved(1.0, "pause")))[0].announcement.text == "Nothing has been read yet."
    )


def test_instant_text_reads_what_comes_when_nobody_is_busy() -> None:
    story = Story()
    assert said(story.now(ev.TextFound(1.0, TEXT, asked=False))) == []  # it is off
    assert of(fx.WatchText, story.now(ev.InstantTextSet(1.1, True))) == [fx.WatchText(True)]
    assert said(story.now(ev.TextFound(1.2, (("Exit", ()),), asked=False))) == ["Exit"]
    story.now(ev.VoiceStarted(2.0, 1))
    assert said(story.now(ev.TextFound(2.2, (("Danger", ()),), asked=False))) == []
    assert of(fx.WatchText, story.now(ev.InstantTextSet(3.0, False))) == [fx.WatchText(False)]


def test_aiming_help_is_said_not_kept_and_waits_while_somebody_speaks() -> None:
    story = Story()
    assert said(story.now(ev.AimAdvised(1.0, "Move closer."))) == []  # it is off
    assert of(fx.WatchAim, story.now(ev.AimSet(1.1, True))) == [fx.WatchAim(True)]
    assert said(story.now(ev.AimAdvised(1.2, "Text. Move closer."))) == ["Text. Move closer."]
    good = story.now(ev.AimAdvised(2.4, "Hold still.", good=True))
    assert said(good) == ["Hold still."]
    assert of(fx.Earcon, good) == [fx.Earcon("steady")]
    assert story.said == []
    story.now(ev.VoiceStarted(3.0, 1))
    assert said(story.now(ev.AimAdvised(3.2, "Move back."))) == []
    assert of(fx.WatchAim, story.now(ev.AimSet(4.0, False))) == [fx.WatchAim(False)]


def test_the_lights_tone_is_silent_while_somebody_speaks() -> None:
    story = Story()
    assert of(fx.Tone, story.now(ev.LightMeasured(1.0, 440.0))) == []  # it is off
    assert of(fx.WatchLight, story.now(ev.LightToneSet(1.1, True))) == [fx.WatchLight(True)]
    assert of(fx.Tone, story.now(ev.LightMeasured(1.2, 440.0))) == [fx.Tone(440.0)]
    story.now(ev.VoiceStarted(2.0, 1))
    assert of(fx.Tone, story.now(ev.LightMeasured(2.2, 440.0))) == []
    assert of(fx.WatchLight, story.now(ev.LightToneSet(3.0, False))) == [fx.WatchLight(False)]


def test_codes_colour_and_light_are_answers_without_the_model() -> None:
    story = Story(ready=False)
    assert of(fx.LookAt, story.now(ev.SightAsked(1.0, "colour"))) == [fx.LookAt("colour")]
    assert said(story.now(ev.SightSeen(1.1, "colour", "In the middle: red."))) == ["In the middle: red."]
    assert story.said == [("user", "What colour is in the middle?", ""), ("assistant", "In the middle: red.", "")]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Read the text, please.", ev.ReadAsked),
        ("What does it say?", ev.ReadAsked),
        ("What colour is this?", ev.SightAsked),
        ("Scan the code", ev.SightAsked),
        ("Help me aim!", ev.AimSet),
        ("spell it", ev.ReadingMoved),
        ("Read the text of the law to me", None),
        ("What colour is this cup usually?", None),
        ("", None),
    ],
)
def test_only_these_words_by_themselves_stand_for_a_key(text: str, kind: type | None) -> None:
    event = phrase(text, 1.0)
    assert event is None if kind is None else isinstance(event, kind)


def test_a_typed_phrase_never_reaches_the_engine_and_a_spoken_one_ends_its_answer() -> None:
    story = Story()
    typed = story.now(ev.TextEntered(1.0, "What does it say?"))
    assert of(fx.ReadText, typed)
    assert not of(fx.SendText, typed)
    assert story.said == [("user", "What does it say?", "")]
    story = Story()
    story.ask()
    story.now(ev.InputCommitted(2.1, "user-1"))
    story.reply("It ", "says ", at_s=2.2)
    story.hear(80)
    spoken = story.now(ev.UserTranscribed(2.6, "user-1", "What does it say?"))
    assert of(fx.ReadText, spoken)
    assert of(fx.CancelReply, spoken)
    assert of(fx.FlushPlayback, spoken)
    assert [turn.text for turn in story.state.transcript if turn.role == "user"] == ["What does it say?"]


def test_marks_and_spelling() -> None:
    assert marked("take tw0, or tw0", ("tw0",)) == "take tw0, (?) or tw0"
    assert spelt("A-1 b") == "capital A, dash, 1, space, b"


# --- in the engine's voice ------------------------------------------------------------------------------------------


def spoken(story: Story, number: int, at_s: float) -> list[fx.Effect]:
    """The engine speaks reply `number`, and all of it is heard."""
    story.reply("word ", number=number, at_s=at_s, done=True)
    story.hear(80, number=number, at_s=at_s + 0.1)
    return story.now(ev.PlaybackFinished(at_s + 0.2, number, 80))


def voiced() -> Story:
    story = Story(Config(says=True))
    story.now(ev.ReadAsked(1.0))
    assert of(fx.SpeakWords, story.now(ev.TextFound(2.0, TEXT))) == [fx.SpeakWords(1, "Dear Ms Okafor,")]
    return story


def test_an_engine_that_can_speaks_each_passage_when_the_one_before_was_heard() -> None:
    story = voiced()
    assert of(fx.SpeakWords, story.now(ev.Tick(30.0))) == []  # it is still being spoken
    spoken(story, 1, 31.0)
    assert of(fx.SpeakWords, story.now(ev.Tick(32.0))) == [fx.SpeakWords(2, "your parcel is here. Doubtful: parcel.")]
    spoken(story, 2, 33.0)
    assert of(fx.SpeakWords, story.now(ev.Tick(34.0))) == [fx.SpeakWords(3, "Call 555 0199.")]
    spoken(story, 3, 35.0)
    assert of(fx.SpeakWords, story.now(ev.Tick(50.0))) == []
    assert [role for role, _, _ in story.said] == ["user", "assistant"]
    assert not of(fx.TruncateReply, story.effects)
    assert not said(story.effects)
    assert all("Okafor" not in words for words in announced(story.effects))  # heard once, not twice
    assert "Listening." not in announced(story.effects)  # nothing between the sentences
    assert fx.Earcon("listening") in story.effects  # and a sign at the end


def test_leading_the_voice_cuts_what_it_says_and_a_question_ends_it() -> None:
    story = voiced()
    story.reply("word ", at_s=2.2)
    moved = story.now(ev.ReadingMoved(2.4, "next"))
    assert of(fx.CancelReply, moved)
    following = story.now(ev.ReplyDone(2.6, "resp-1"))
    assert of(fx.SpeakWords, following) == [fx.SpeakWords(2, "your parcel is here. Doubtful: parcel.")]
    story.reply("word ", number=2, at_s=2.8)
    assert of(fx.CancelReply, story.now(ev.ReadingMoved(3.0, "pause")))
    assert of(fx.SpeakWords, story.now(ev.ReplyDone(3.1, "resp-2"), ev.Tick(60.0))) == []
    asked = story.now(ev.TextEntered(61.0, "Who wrote this?"))
    assert of(fx.SendText, asked)
    assert not of(fx.TruncateReply, story.effects)


def test_a_cough_does_not_end_the_reading_and_the_users_voice_does() -> None:
    story = voiced()
    story.reply("word ", at_s=2.2)
    story.hear(40, at_s=2.3)
    story.now(ev.VoiceStarted(2.4, 1), ev.VoiceDropped(2.6, 1))
    assert story.state.reading is not None
    assert story.state.reading.active
    story.now(ev.VoiceStarted(3.0, 2), ev.Tick(4.5))
    assert not story.state.reading.active


def test_a_lost_engine_leaves_the_reading_to_the_screen_reader() -> None:
    story = voiced()
    story.now(ev.EngineLost(2.5, "gone"))
    assert said(story.now(ev.Tick(4.0))) == ["your parcel is here. Doubtful: parcel."]
    assert all(role != "notice" for role, _, _ in story.said)


def test_what_is_read_is_announced_once() -> None:
    story = reading()
    story.now(ev.Tick(4.0), ev.Tick(9.0), ev.Tick(20.0), ev.Tick(21.0))
    assert all("Okafor" not in words for words in announced(story.effects))


@pytest.mark.parametrize("ends", [ev.CameraSet(2.0, False), ev.PicturesEnded(2.0)])
def test_no_mode_of_looking_stays_on_without_pictures_and_each_is_said_to_be_off(ends: ev.Event) -> None:
    story = Story()
    modes = (ev.NarrationSet, ev.InstantTextSet, ev.AimSet, ev.LightToneSet)
    story.now(*(mode(1.0, True) for mode in modes))
    effects = story.now(ends)
    told = [effect.announcement.text for effect in of(fx.Announce, effects)]
    off = ["Narration off.", "Instant text off.", "Aiming help off.", "Light tone off."]
    assert told == (["Camera off.", *off] if isinstance(ends, ev.CameraSet) else off)
    watches = (fx.WatchScene, fx.WatchText, fx.WatchAim, fx.WatchLight)
    assert [effect for effect in effects if isinstance(effect, watches)] == [watch(False) for watch in watches]
    state = story.state
    assert [state.narrating, state.instant_text, state.aiming, state.light_tone] == [False] * 4
    assert not of(fx.Announce, story.now(ev.PicturesEnded(3.0)))


def test_a_source_that_was_chosen_is_named_when_it_gives_pictures_and_its_first_is_described_or_read() -> None:
    story = Story()
    question = ev.TextEntered(0.0, "Describe it.", shown="Describe what you see.")
    assert announced(story.now(ev.SourceAsked(1.0, question))) == []
    seen = story.now(ev.DeviceRuns(2.0, "pictures", "the window “Mail”"))
    assert announced(seen) == ["Looking at the window “Mail”."]
    assert of(fx.SendText, seen) == [fx.SendText("Describe it.", True)]
    again = story.now(ev.DeviceRuns(3.0, "pictures", "the window “Mail”"))
    assert announced(again) == []
    assert of(fx.SendText, again) == []
    story = Story()
    seen = story.now(ev.SourceAsked(1.0, read=True), ev.DeviceRuns(2.0, "pictures", "the window “Mail”"))
    assert of(fx.ReadText, seen) == [fx.ReadText()]


def test_a_source_that_fails_or_is_chosen_with_the_camera_off_does_nothing_later() -> None:
    story = Story()
    problem = Problem("pictures", "The window was closed.", "")
    story.now(ev.SourceAsked(1.0, read=True), ev.DeviceFails(2.0, "pictures", problem))
    assert not of(fx.ReadText, story.now(ev.DeviceRuns(3.0, "pictures", "camera")))
    story = Story()
    story.now(ev.CameraSet(1.0, False))
    assert announced(story.now(ev.SourceAsked(2.0, read=True))) == [
        "The camera is off, so no picture is looked at. Turn it on."
    ]
    assert not of(fx.ReadText, story.now(ev.CameraSet(3.0, True), ev.DeviceRuns(4.0, "pictures", "camera")))
