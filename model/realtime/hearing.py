"""The input buffer: sound and pictures as they come, and where the user's turns begin and end in them."""

from __future__ import annotations

from model.realtime.client_events import (
    ContentPart,
    InputAudioBufferAppend,
    InputAudioBufferCommit,
    InputImageBufferAppend,
    WireError,
    decode_base64,
)
from model.realtime.contract import Samples, VoiceDetectorFactory
from model.realtime.conversation import Conversation
from model.realtime.pcm import PcmPieces, decode_pcm16
from model.realtime.pictures import decode_picture
from model.realtime.records import Record
from model.realtime.responding import Responding
from model.realtime.server_events import (
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    SpeechStarted,
    SpeechStopped,
)
from model.realtime.turn import MAX_BUFFER_S, TurnInput
from model.realtime.vad import SpeechBegins, SpeechContinues, TurnFinder

MIN_COMMIT_MS = 100
"""GA's least sound in a commit."""

MAX_TURN_S = MAX_BUFFER_S - 5.0
"""Unbroken voice ends the turn here: it is answered, and what comes after it is heard."""


class Hearing:
    """Serves the `input_..._buffer` events. Owned by the model thread."""

    def __init__(
        self, conversation: Conversation, responding: Responding, make_detector: VoiceDetectorFactory | None
    ) -> None:
        self._talk = conversation
        self._responding = responding
        self._make_detector = make_detector
        self._pieces = PcmPieces()
        self._turns: TurnFinder | None = None
        self._vad_start_ms = 0
        self.new_turn_finder()

    def new_turn_finder(self) -> None:
        """The settings for finding turns, or the rate of the sound, are others now."""
        config = self._talk.config
        self._pieces.clear()
        self._turns = None
        if config.turn_detection is not None and self._make_detector is not None:
            rate_hz = config.input_rate_hz
            self._turns = TurnFinder(config.turn_detection, self._make_detector(rate_hz), rate_hz)

    def append(self, event: InputAudioBufferAppend) -> None:
        for number, frame in enumerate(event.video_frames or ()):
            data = decode_base64(frame.rpartition(",")[2], f"video_frames[{number}]")
            self._see(data, f"video_frames[{number}]", None)
        pcm = self._pieces.push(decode_pcm16(event.audio, "audio")) if event.audio else None
        if pcm is None or not len(pcm):
            return
        if self._turns is None:
            self._buffer().hear(pcm, self._talk.config.input_rate_hz)
        else:
            self._find_turns(self._turns, pcm)

    def append_image(self, event: InputImageBufferAppend) -> None:
        self._see(decode_base64(event.image.rpartition(",")[2], "image"), "image", event.at_ms)

    def commit(self, event: InputAudioBufferCommit) -> None:
        if event.final is False:
            return
        self.close_turn()
        answers = event.response_create
        if answers is None:
            answers = self._talk.peer.dialect.answers_commits and self._turns is None
        self._responding.wanted = self._responding.wanted or answers

    def clear(self) -> None:
        talk = self._talk
        talk.turn.take_back_buffer(talk.session)
        if talk.turn.buffer is not None:
            talk.turn.inputs.pop()
        self._pieces.clear()
        if self._turns is not None:
            self._turns.end_turn()
        talk.peer.send(InputAudioBufferCleared())

    def end(self) -> None:
        """The client says no more: a turn that is being spoken ends here."""
        if self._turns is not None and self._turns.speaking:
            self._end_found_turn(self._turns)

    def end_overlong(self, is_refused: bool) -> bool:
        """Ends a found turn that the model cannot take more of; False: there is none."""
        if self._turns is None or not self._turns.speaking or not is_refused:
            return False
        self._end_found_turn(self._turns)
        return True

    # --- turns -------------------------------------------------------------------------------------------------------

    def _buffer(self) -> TurnInput:
        """The open input; a new one when there is none."""
        turn = self._talk.turn
        if turn.buffer is None:
            turn.inputs.append(TurnInput(self._talk.new_id("item")))
        assert turn.buffer is not None
        return turn.buffer

    def _find_turns(self, turns: TurnFinder, pcm: Samples) -> None:
        """Serves all that is found in this sound; a mistake in one of it loses nothing of the rest."""
        mistake: WireError | None = None
        for found in turns.push(pcm):
            try:
                self._found(turns, found)
            except WireError as error:
                mistake = error
        if mistake is not None:
            raise mistake

    def _found(self, turns: TurnFinder, found: object) -> None:
        talk = self._talk
        detection, rate_hz = talk.config.turn_detection, talk.config.input_rate_hz
        assert detection is not None
        if isinstance(found, SpeechBegins):
            if detection.interrupt_response and talk.active_reply is not None:
                self._responding.cancel(talk.active_reply, "turn_detected")
            self._vad_start_ms = found.at_ms
            self._buffer().hear(found.pcm, rate_hz)
            talk.peer.send(SpeechStarted(found.at_ms, self._buffer().item_id))
        elif isinstance(found, SpeechContinues):
            if turns.speaking and self._buffer().sound_s + len(found.pcm) / rate_hz > MAX_TURN_S:
                self._end_found_turn(turns)
            else:
                self._buffer().hear(found.pcm, rate_hz)
        else:
            self._end_found_turn(turns)

    def _end_found_turn(self, turns: TurnFinder) -> None:
        detection = self._talk.config.turn_detection
        assert detection is not None
        self._talk.peer.send(SpeechStopped(turns.now_ms, self._buffer().item_id))
        self.close_turn()
        self._responding.wanted = detection.create_response

    def close_turn(self) -> None:
        """Commits the open input; raises `WireError` when there is none worth it."""
        talk = self._talk
        buffer = talk.turn.buffer
        sound_ms = round(buffer.sound_s * 1000) if buffer is not None else 0
        if buffer is None or (sound_ms < MIN_COMMIT_MS and not (sound_ms == 0 and buffer.n_pictures)):
            raise WireError(
                "input_audio_buffer_commit_empty",
                f"Nothing to commit: the buffer holds {sound_ms} ms of sound, {MIN_COMMIT_MS} ms are needed.",
            )
        sound = (ContentPart("input_audio"),) if buffer.sound_s else ()
        record = Record(buffer.item_id, "user", sound + (ContentPart("input_image"),) * buffer.n_pictures, input=buffer)
        record.handles = buffer.handles
        talk.turn.close(buffer)
        self._pieces.clear()
        if self._turns is not None:
            self._turns.end_turn()
        previous = talk.records.add(record)
        talk.peer.send(InputAudioBufferCommitted(record.id, previous))
        talk.announce(record, previous)
        if buffer.sound_s and talk.config.transcription is not None:
            talk.transcripts.want(record.id, buffer.sound_s)

    # --- pictures ----------------------------------------------------------------------------------------------------

    def _see(self, data: bytes, param: str, at_ms: int | None) -> None:
        decode_picture(data, param)
        if self._turns is not None:
            self._see_between_turns(self._turns, data)
            return
        buffer = self._buffer()
        at_s = buffer.sound_s if at_ms is None else at_ms / 1000
        if not 0 <= at_s <= MAX_BUFFER_S:
            raise WireError("invalid_value", f"at_ms: expected 0 to {MAX_BUFFER_S * 1000:.0f}, got {at_ms}.", "at_ms")
        buffer.see(data, at_s)

    def _see_between_turns(self, turns: TurnFinder, data: bytes) -> None:
        """With turn detection a picture belongs to the sound that it came with; before speech the newest one waits."""
        if turns.speaking:
            self._buffer().see(data, max(0.0, (turns.now_ms - self._vad_start_ms) / 1000))
            return
        talk = self._talk
        talk.turn.take_back_buffer(talk.session)
        buffer = self._buffer()
        buffer.drop_pictures()
        buffer.see(data, 0.0)
