"""Carries out the conversation's effects on the parts. Owned by the Assistant's thread."""

from __future__ import annotations

from collections.abc import Callable

from app import effects as fx
from app import events as ev
from app.engine.choice import engine_choice
from app.history import History, HistoryError
from app.latency import LatencyMeter
from app.ports import Parts, Post
from app.prompts import with_read
from app.settings import Settings
from app.sounds import Samples, Sounds
from app.translator import Translator
from app.view import Announcement, Problem, TranscriptTurn
from app.wire import picture_item, response_create, restored_item, sound_append, speak_words, text_item, tool_result
from model.realtime.events import (
    ConversationItemDelete,
    ConversationItemTruncate,
    InputAudioBufferClear,
    InputAudioBufferCommit,
    InputImageBufferAppend,
    ResponseCancel,
    encode_base64,
)

SPEECH_RATE_HZ = 24_000
KEPT_FOR_REPEAT = SPEECH_RATE_HZ * 120
"""Samples of the last reply that `Repeat` can play."""
TOKENS_PER_S = 13
"""Text tokens of a second of speech at the most: time-aligned text has one for each codec frame (12.5 Hz), other text
about 4. It bounds what an engine writes that does not stop by itself; the conversation holds the seconds exactly."""
SPARE_TOKENS = 16
MAX_TOKENS = 4096
NO_PICTURE = "There is no picture. Turn the camera on, or choose another picture source."


class Performer:
    """`feed` takes events that follow from an effect at once (what was heard when playback stopped)."""

    def __init__(
        self,
        parts: Parts,
        post: Post,
        settings: Settings,
        history: History | None,
        latency: LatencyMeter,
        feed: Callable[[ev.Event], None],
        announce: Callable[[Announcement], None],
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self.parts = parts
        self.settings = settings
        self.sounds = Sounds(self._send_sound)
        self.translator = Translator()
        self.session = 0
        """The engine session whose messages count."""
        self.model_name = ""
        self.conversation_id: int | None = None
        self._post = post
        self._history = history
        self._latency = latency
        self._feed = feed
        self._announce = announce
        self._clock = clock
        self._wall_clock = wall_clock
        self._asked_with: int | None = None  # utterance of the last commit
        self._last_speech: list[Samples] = []
        self._last_reply = 0
        self._following = False

    def perform(self, effect: fx.Effect) -> None:
        match effect:
            case fx.StreamSound() | fx.RewindSound() | fx.DropSound() | fx.CommitInput():
                self._sound(effect)
            case (
                fx.PlaySpeech()
                | fx.FinishSpeech()
                | fx.FlushPlayback()
                | fx.PausePlayback()
                | fx.ResumePlayback()
                | fx.ReplayLast()
                | fx.Earcon()
                | fx.Tone()
            ):
                self._play(effect)
            case fx.Unanswered():
                pass  # told already
            case fx.SetMicrophone(on):
                self.parts.ears.set_on(on)
            case fx.ForceVoice(down):
                self.parts.ears.force(down)
            case fx.SetCamera(on):
                self.parts.eyes.set_on(on)
            case fx.WatchScene(on):
                self.parts.eyes.watch(on)
            case fx.ReadText() | fx.ReadForModel() | fx.WatchText() | fx.WatchAim() | fx.WatchLight() | fx.LookAt():
                self._look(effect)
            case fx.Say(text):
                if text:
                    self._announce(Announcement(text))
            case fx.Announce(announcement):
                self._announce(announcement)
            case fx.SaveTurn(turn):
                self._save(turn)
            case fx.BeginHistory():
                self.conversation_id = None
            case fx.RunTool(call_id, name, arguments):
                self.parts.tools.run(self._post, call_id, name, arguments)
            case fx.AnswerPermission(call_id, yes):
                self.parts.tools.answer(call_id, yes)
            case _:
                self._tell_engine(effect)

    # --- what is seen without the model ---

    def _look(self, effect: fx.Effect) -> None:
        eyes, now_s = self.parts.eyes, self._clock()
        match effect:
            case fx.ReadText():
                if not eyes.read_text():
                    self._feed(ev.TextFound(now_s, failure=NO_PICTURE))
            case fx.ReadForModel(turn):
                if not eyes.read_for(turn):
                    self._feed(ev.ReadForTurn(now_s, turn, ""))
            case fx.WatchText(on):
                eyes.watch_text(on)
            case fx.WatchAim(on):
                eyes.watch_aim(on)
            case fx.WatchLight(on):
                eyes.watch_light(on)
            case fx.LookAt(what):
                if not eyes.tell(what, lambda text: self._post(ev.SightSeen(ev.WHEN_TAKEN, what, text))):
                    self._feed(ev.SightSeen(now_s, what, NO_PICTURE))

    # --- the engine ---

    def _sound(self, effect: fx.Effect) -> None:
        match effect:
            case fx.StreamSound(utterance, pictures):
                first = not self.sounds.begun(utterance)
                if first:
                    self.translator.began()
                if pictures:
                    self._show_scene(first)
                self.sounds.stream(utterance)
            case fx.RewindSound(utterance):
                self.sounds.rewind(utterance)
                self._hide_scene()
            case fx.DropSound(utterance):
                self.sounds.drop(utterance)
            case fx.CommitInput(utterance):
                self.sounds.hold(utterance)
                self._hide_scene()
                self.parts.engine.send(InputAudioBufferCommit())
                for early in self.translator.committed(self._clock()):
                    self._feed(early)
                self._asked_with = utterance

    def _send_sound(self, samples: Samples) -> None:
        self.parts.engine.send(sound_append(samples))

    def _show_scene(self, first: bool) -> None:
        self._following = True
        jpeg = self.parts.eyes.begin_turn() if first else None
        if jpeg is not None:
            self.send_picture(jpeg)  # before the sound that it belongs to
        self.parts.eyes.follow(True)

    def _hide_scene(self) -> None:
        self._following = False
        self.parts.eyes.follow(False)

    def send_picture(self, jpeg: bytes) -> None:
        """A picture that comes too late for the user's turn is dropped."""
        if self._following:
            self.parts.engine.send(InputImageBufferAppend(encode_base64(jpeg)))
            self._feed(ev.PictureSent(self._clock(), jpeg))

    def _tell_engine(self, effect: fx.Effect) -> None:
        send = self.parts.engine.send
        match effect:
            case fx.ClearInput():
                self._hide_scene()
                send(InputAudioBufferClear())
            case fx.SendText(text, picture, item_id, read):
                self._asked_with = None
                self.translator.began()
                jpeg = self.parts.eyes.look() if picture else None
                send(text_item(with_read(read if jpeg is not None else "", text), jpeg, item_id))
                if jpeg is not None:
                    self._feed(ev.PictureSent(self._clock(), jpeg))
            case fx.SendRead(read):
                send(text_item(with_read(read), None))
            case fx.CreateReply(reply, limit_s, spoken):
                self._latency.reply_asked(reply, self._asked_with, self._clock())
                for early in self.translator.asked(reply, self._clock()):
                    self._feed(early)
                max_tokens = min(MAX_TOKENS, int(limit_s * TOKENS_PER_S) + SPARE_TOKENS)
                send(response_create(reply, self.settings.speech and spoken, max_tokens))
            case fx.SpeakWords(reply, text):
                self.translator.began()
                for early in self.translator.asked(reply, self._clock()):
                    self._feed(early)
                send(speak_words(reply, text))
            case fx.SendResults(outputs, picture):
                for call_id, output in outputs:
                    send(tool_result(call_id, output))
                jpeg = self.parts.eyes.look() if picture else None
                if jpeg is not None:
                    send(picture_item(jpeg))
            case fx.CancelReply(_, response_id):
                send(ResponseCancel(response_id))
            case fx.TruncateReply(item_id, heard_ms):
                send(ConversationItemTruncate(item_id, heard_ms))
            case fx.DeleteItem(item_id):
                send(ConversationItemDelete(item_id))
            case fx.RestoreConversation(turns):
                for role, text in turns:
                    send(restored_item(role, text))
            case fx.NewSession():
                self._begin_session(self.parts.engine.new_session())
            case fx.StartEngine(delay_s):
                self.start_engine(delay_s)

    def start_engine(self, delay_s: float = 0.0) -> None:
        choice = engine_choice(self.settings)
        self._begin_session(self.parts.engine.start(self._post, choice, delay_s))

    def _begin_session(self, session: int) -> None:
        """What was asked of an older session is never answered in this one."""
        self.session = session
        self.translator = Translator()

    # --- the speaker ---

    def _play(self, effect: fx.Effect) -> None:
        mouth = self.parts.mouth
        match effect:
            case fx.PlaySpeech(reply, samples):
                if reply != self._last_reply:
                    self._last_reply, self._last_speech = reply, []
                if sum(map(len, self._last_speech)) < KEPT_FOR_REPEAT:
                    self._last_speech.append(samples)
                self._give(reply, samples)
            case fx.FinishSpeech(reply):
                mouth.finish(reply)
            case fx.FlushPlayback(reply):
                self._feed(ev.PlaybackStopped(self._clock(), reply, mouth.flush(reply)))
            case fx.PausePlayback():
                mouth.pause()
            case fx.ResumePlayback():
                mouth.resume()
            case fx.ReplayLast(reply):
                for samples in self._last_speech:
                    self._give(reply, samples)
                mouth.finish(reply)
            case fx.Tone(frequency_hz):
                mouth.tone(frequency_hz)
            case fx.Earcon(name):
                if getattr(self.settings, f"earcon_{name}"):
                    mouth.earcon(name)

    def _give(self, reply: int, samples: Samples) -> None:
        try:
            self.parts.mouth.play(reply, samples)
        except BufferError as error:
            problem = Problem("speaker", f"The speaker takes no more speech: {error}", "Choose another speaker.")
            self._feed(ev.ProblemRaised(self._clock(), problem))

    # --- the history ---

    def _save(self, turn: TranscriptTurn) -> None:
        if self._history is None or not self.settings.keep_history:
            return
        try:
            if self.conversation_id is None:
                self.conversation_id = self._history.begin(self.model_name, self._wall_clock())
            self._history.save(self.conversation_id, turn)
        except HistoryError as error:
            self._history = None  # said once; the conversation goes on without
            problem = Problem("history", f"The conversation is not being kept. {error}", "")
            self._feed(ev.ProblemRaised(self._clock(), problem))
