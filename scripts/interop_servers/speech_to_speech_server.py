"""Hugging Face's speech-to-speech: its router, service, queues and handlers, with stand-ins for the four models.

Its own handlers in between (transcripts, output) run as they are. What is ours takes and gives the package's types:
an ear that goes by loudness, a mind that tells what it was given, a voice that hums.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from queue import Queue
from threading import Event, Thread
from typing import Any

import common
import numpy as np
from openai.types.realtime.conversation_item import RealtimeConversationItemAssistantMessage
from speech_to_speech.api.openai_realtime.pipeline_unit import PipelineUnit
from speech_to_speech.api.openai_realtime.service import PIPELINE_SAMPLE_RATE, RealtimeService
from speech_to_speech.api.openai_realtime.websocket_router import create_app
from speech_to_speech.baseHandler import BaseHandler
from speech_to_speech.LLM.lm_output_processor import LMOutputProcessor
from speech_to_speech.pipeline.cancel_scope import CancelScope
from speech_to_speech.pipeline.events import SpeechStartedEvent, SpeechStoppedEvent
from speech_to_speech.pipeline.history import ResponseHistory
from speech_to_speech.pipeline.messages import (
    AUDIO_RESPONSE_DONE,
    EndOfResponse,
    GenerateResponseRequest,
    LLMResponseChunk,
    Transcription,
    TTSInput,
)
from speech_to_speech.STT.transcription_notifier import TranscriptionNotifier

END_S = 0.5


class Ear(BaseHandler):  # type: ignore[misc]
    """In place of voice detection and transcription."""

    def setup(self, told: Queue[Any]) -> None:
        self.told = told
        self.now_s = 0.0
        self.on_session_end()

    def on_session_end(self) -> None:
        self.began_s: float | None = None
        self.loud_s = self.sum_s = 0.0

    def process(self, item: Any) -> Iterator[Transcription]:
        self.now_s += len(item[0]) / 2 / PIPELINE_SAMPLE_RATE
        loud_s = common.loud_s(item[0], PIPELINE_SAMPLE_RATE)
        if loud_s:
            self.loud_s, self.sum_s = self.now_s, self.sum_s + len(item[0]) / 2 / PIPELINE_SAMPLE_RATE
            if self.began_s is None:
                self.began_s = self.now_s
                self.told.put(SpeechStartedEvent(audio_start_ms=round(1000 * self.began_s)))
        if self.began_s is not None and self.now_s - self.loud_s > END_S:
            seconds, self.sum_s, self.began_s = self.sum_s, 0.0, None
            self.told.put(SpeechStoppedEvent(duration_s=seconds, audio_end_ms=round(1000 * self.loud_s)))
            yield Transcription(text=f"sound of {seconds:.1f} s", language_code="en")


class Mind(BaseHandler):  # type: ignore[misc]
    """In place of the language model."""

    def setup(self, cancel_scope: CancelScope) -> None:
        self.cancel_scope = cancel_scope

    def process(self, asked: GenerateResponseRequest) -> Iterator[LLMResponseChunk | EndOfResponse]:
        generation = self.cancel_scope.generation
        chat = asked.runtime_config.chat
        turns = [item for item in chat.to_responses_api_chat() if item.get("role") in ("user", "assistant")]
        texts = [text for item in turns if (text := _text(item["content"]))]
        newest = texts[-1].splitlines()[-1] if texts else ""  # what got no answer stands before it
        heard = re.fullmatch(r"sound of (\d+\.\d) s", newest)
        pictures = len(chat.image_message_ids())
        common_fields: dict[str, Any] = {"cancel_generation": generation, "response_key": asked.response_key}
        words = common.answer(float(heard[1]) if heard else 0.0, pictures, "" if heard else newest, len(texts) - 1)
        anchor, said = chat.history_anchor_id(), ""
        for word in words:
            if self.cancel_scope.is_stale(generation):
                break
            yield LLMResponseChunk(
                text=word, runtime_config=asked.runtime_config, response=asked.response, **common_fields
            )
            said += word
            time.sleep(common.PACE_S)
        content = [{"type": "output_text", "text": said}]
        item = RealtimeConversationItemAssistantMessage(type="message", role="assistant", content=content)
        images = chat.image_message_ids()
        yield EndOfResponse(
            history=ResponseHistory.capture(
                chat, [item], after_item_id=anchor, complete=True, consumed_image_ids=images
            ),
            **common_fields,
        )


def _text(content: Any) -> str:
    parts = content if isinstance(content, list) else [{"text": content}]
    return " ".join(part["text"] for part in parts if part.get("text"))


class Voice(BaseHandler):  # type: ignore[misc]
    """In place of speech synthesis."""

    def process(self, item: TTSInput | EndOfResponse) -> Iterator[bytes | np.ndarray]:
        if isinstance(item, EndOfResponse):
            yield AUDIO_RESPONSE_DONE
        else:
            yield np.frombuffer(common.tone(PIPELINE_SAMPLE_RATE), dtype="<i2")


def unit(stop: Event) -> PipelineUnit:
    listen, playing, scope = Event(), Event(), CancelScope()
    sound: Queue[Any] = Queue()
    texts: Queue[Any] = Queue()
    prompts: Queue[Any] = Queue()
    said: Queue[Any] = Queue()
    spoken: Queue[Any] = Queue()
    output: Queue[Any] = Queue()
    told: Queue[Any] = Queue()
    handlers = [
        Ear(stop, sound, texts, setup_args=(told,)),
        TranscriptionNotifier(stop, texts, prompts, setup_kwargs={"text_output_queue": told, "should_listen": listen}),
        Mind(stop, prompts, said, setup_args=(scope,)),
        LMOutputProcessor(stop, said, spoken, setup_kwargs={"text_output_queue": told}),
        Voice(stop, spoken, output),
    ]
    for handler in handlers:
        Thread(target=handler.run, daemon=True).start()
    return PipelineUnit(
        index=0,
        service=RealtimeService(text_prompt_queue=prompts, should_listen=listen),
        cancel_scope=scope,
        should_listen=listen,
        response_playing=playing,
        input_queue=sound,
        output_queue=output,
        text_output_queue=told,
        text_prompt_queue=prompts,
        handlers=handlers,
    )


if __name__ == "__main__":
    stop = Event()
    common.serve(create_app(pool=[unit(stop)], stop_event=stop))
