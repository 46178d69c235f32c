"""`main.py engine` as a process, with the real model (tiny, random weights) and OpenAI's own client, unmodified."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from safetensors.torch import load_file, save_file

from model.bench.random_checkpoint import write_sized
from tests.model.realtime.harness import jpeg64, pcm16, validate
from tests.model.realtime.malformed import malformed
from tests.model.realtime.sockets import Client, connected

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60.0
N_ERRORS_LEAST = 5_000
"""Of 10,000 malformed messages; the others only have optional fields that cannot be read, which are left out."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights that never end a reply by themselves, and draw nothing by chance: limits end it."""
    path = write_sized(tmp_path_factory.mktemp("checkpoint"), "tiny", seed=3, hold=True)
    config = json.loads((path / "config.json").read_text())
    for file in path.glob("*.safetensors"):
        tensors = load_file(file)
        for name, row in (
            ("thinker.lm_head.weight", config["im_end_token_id"]),
            ("talker.codec_head.weight", config["talker_config"]["codec_eos_token_id"]),
        ):
            if name in tensors:
                tensors[name][row] = 0.0
        save_file(tensors, file, {"format": "pt"})
    generation = json.loads((path / "generation_config.json").read_text())
    generation |= {"thinker_repetition_penalty": 1.5, "talker_do_sample": False, "talker_max_new_tokens": 40}
    (path / "generation_config.json").write_text(json.dumps(generation))
    return path


@pytest.fixture(scope="module")
def engine(checkpoint: Path) -> Iterator[dict[str, str]]:
    """Its address."""
    command = [sys.executable, "main.py", "engine", "--checkpoint", str(checkpoint), "--exit-with-stdin"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    assert line, process.stderr.read()
    yield json.loads(line)
    began_s = time.monotonic()
    process.stdin.close()
    code = process.wait(10)
    errors = process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    assert code == 0, errors
    assert "Traceback" not in errors, errors
    assert time.monotonic() - began_s < 3.0


class Talk:
    """A conversation over OpenAI's client; every event is held to its types."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.events: list[Any] = []

    async def until(self, *type_names: str) -> Any:
        while True:
            raw = await asyncio.wait_for(self.connection.recv_bytes(), PATIENCE_S)
            validate(json.loads(raw))
            event = self.connection.parse_event(raw)
            self.events.append(event)
            if event.type == "error" and "error" not in type_names:
                raise AssertionError(event.error.message)
            if event.type in type_names:
                return event

    async def hear(self, seconds: float = 1.2, chunk_s: float = 0.1) -> str:
        for _ in range(round(seconds / chunk_s)):
            await self.connection.input_audio_buffer.append(audio=pcm16(chunk_s))
        await self.connection.input_audio_buffer.commit()
        return str((await self.until("input_audio_buffer.committed")).item_id)

    async def item(self, item_id: str) -> Any:
        await self.connection.conversation.item.retrieve(item_id=item_id)
        return (await self.until("conversation.item.retrieved")).item


def talk(engine: dict[str, str], test: Callable[[Talk], Coroutine[Any, Any, None]], **session: Any) -> None:
    async def run() -> None:
        base_url = engine["url"].removesuffix("/realtime")
        async with (
            AsyncOpenAI(api_key=engine["token"], websocket_base_url=base_url) as client,
            client.realtime.connect(model="sightline") as connection,
        ):
            one = Talk(connection)
            await one.until("session.created")
            config: Any = {"type": "realtime", "audio": {"input": {"turn_detection": None}}, **session}
            await connection.session.update(session=config)
            await one.until("session.updated")
            one.events.clear()
            await test(one)

    asyncio.run(asyncio.wait_for(run(), 2 * PATIENCE_S))


def speech_ms(events: list[Any]) -> float:
    deltas = [event.delta for event in events if event.type == "response.output_audio.delta"]
    return sum(len(base64.b64decode(delta)) for delta in deltas) / 2 / 24


@pytest.mark.slow
def test_two_spoken_turns_with_pictures(engine: dict[str, str]) -> None:
    async def test(one: Talk) -> None:
        for _ in range(2):
            await one.connection.send({"type": "input_image_buffer.append", "image": jpeg64(96, 64), "at_ms": 0})
            item_id = await one.hear()
            await one.connection.response.create(response={"max_output_tokens": 8})
            done = await one.until("response.done")
            assert done.response.status == "incomplete"
            assert done.response.status_details.reason == "max_output_tokens"
            assert 3100 < speech_ms(one.events) <= 3200  # 40 codec frames, the first of which is shorter
            transcript = done.response.output[0].content[0].transcript
            deltas = [event.delta for event in one.events if event.type == "response.output_audio_transcript.delta"]
            assert transcript == "".join(deltas)
            # The user's words come before the end of the reply.
            words = [e for e in one.events if e.type == "conversation.item.input_audio_transcription.completed"]
            assert [event.item_id for event in words] == [item_id]
            one.events.clear()

    talk(engine, test, audio={"input": {"turn_detection": None, "transcription": {"model": "sightline"}}})


def test_cancel_within_100_ms_then_truncate(engine: dict[str, str]) -> None:
    async def test(one: Talk) -> None:
        await one.hear()
        await one.connection.response.create()
        while speech_ms(one.events) < 800:
            await one.until("response.output_audio.delta")
        began_s = time.monotonic()
        await one.connection.response.cancel()
        done = await one.until("response.done")
        took_s = time.monotonic() - began_s
        assert done.response.status == "cancelled"
        assert done.response.status_details.reason == "client_cancelled"
        # One step is left to do; the slack is for machines that run a dozen other things.
        assert took_s < 1.0
        print(f"cancelled after {took_s * 1000:.0f} ms")
        item = done.response.output[0]
        await one.connection.conversation.item.truncate(item_id=item.id, content_index=0, audio_end_ms=500)
        truncated = await one.until("conversation.item.truncated")
        heard = (await one.item(item.id)).content[0].transcript
        assert heard == truncated.transcript
        assert item.content[0].transcript.startswith(heard)
        assert 0 < len(heard) < len(item.content[0].transcript)
        await one.hear(0.6)
        await one.connection.response.create(response={"output_modalities": ["text"], "max_output_tokens": 4})
        assert (await one.until("response.done")).response.output[0].content[0].text

    talk(engine, test)


def test_a_guess_that_was_wrong_leaves_no_trace(engine: dict[str, str]) -> None:
    """The same two halves of a turn, with and without a reply on a guess between them: the same text comes back."""
    texts: list[str] = []

    async def plain(one: Talk) -> None:
        await one.hear(0.6)
        await one.hear(0.6)
        await one.connection.response.create(response={"max_output_tokens": 12, "output_modalities": ["text"]})
        texts.append((await one.until("response.done")).response.output[0].content[0].text)

    async def guessing(one: Talk) -> None:
        await one.hear(0.6)
        await one.connection.response.create()
        await one.until("response.output_audio.delta")
        await one.connection.response.cancel()
        item_id = (await one.until("response.done")).response.output[0].id
        await one.connection.conversation.item.truncate(item_id=item_id, content_index=0, audio_end_ms=0)
        await one.until("conversation.item.truncated")
        await one.hear(0.6)
        await one.connection.response.create(response={"max_output_tokens": 12, "output_modalities": ["text"]})
        texts.append((await one.until("response.done")).response.output[0].content[0].text)

    talk(engine, plain)
    talk(engine, guessing)
    assert texts[0]
    assert texts[0] == texts[1]


def test_ten_thousand_malformed_messages_do_not_end_the_engine(engine: dict[str, str]) -> None:
    async def send(client: Client) -> None:
        rng = random.Random(20261122)
        for _ in range(10_000):
            await client.connection.send(malformed(rng))
        await client.say("response.cancel")
        await client.say("conversation.item.create", item=message("user", {"type": "input_text", "text": "The end."}))

    async def test() -> None:
        async with connected(engine["url"], engine["token"]) as client:
            sending = asyncio.create_task(send(client))
            n_errors = 0
            while "The end." not in json.dumps(event := await client.next()):
                n_errors += event["type"] == "error"
                del client.events[:]
            await sending
            assert n_errors > N_ERRORS_LEAST, n_errors
            await client.say("session.update", session={"output_modalities": ["text"]})
            await client.say("response.create", response={"max_output_tokens": 4})
            done = await client.until("response.done")
            while done["response"]["status"] == "cancelled":  # one that the malformed messages had begun
                done = await client.until("response.done")
            assert done["response"]["output"][0]["content"][0]["type"] == "output_text"

    asyncio.run(asyncio.wait_for(test(), 4 * PATIENCE_S))


def test_typed_text_with_a_picture_and_a_restored_conversation(engine: dict[str, str]) -> None:
    async def test(one: Talk) -> None:
        create = one.connection.conversation.item.create
        await create(item=message("user", {"type": "input_text", "text": "Where is my cup?"}))
        await create(item=message("assistant", {"type": "output_text", "text": "On the table."}))
        picture = {"type": "input_image", "image_url": f"data:image/jpeg;base64,{jpeg64(96, 64)}"}
        await create(item=message("user", picture, {"type": "input_text", "text": "And now?"}))
        await one.connection.response.create(response={"output_modalities": ["text"], "max_output_tokens": 8})
        done = await one.until("response.done")
        assert done.response.output[0].content[0].type == "output_text"
        assert not speech_ms(one.events)

    talk(engine, test)


def message(role: str, *content: dict[str, str]) -> Any:
    return {"type": "message", "role": role, "content": list(content)}


def test_the_engine_finds_the_turn_itself(engine: dict[str, str], speech_24k: bytes) -> None:
    async def test(one: Talk) -> None:
        for start in range(0, len(speech_24k), 4800):
            chunk = base64.b64encode(speech_24k[start : start + 4800]).decode()
            await one.connection.input_audio_buffer.append(audio=chunk)
        started = await one.until("input_audio_buffer.speech_started")
        stopped = await one.until("input_audio_buffer.speech_stopped")
        assert 500 <= started.audio_start_ms <= 1100
        assert stopped.audio_end_ms > started.audio_start_ms + 1000
        assert (await one.until("response.done")).response.status in ("completed", "incomplete")

    talk(engine, test, audio={"input": {"turn_detection": {"type": "server_vad"}}}, max_output_tokens=8)


@pytest.fixture(scope="module")
def speech_24k(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One second of silence, a spoken sentence, two seconds of silence; pcm16 at 24 kHz."""
    import soundfile
    import soxr

    file = tmp_path_factory.mktemp("speech") / "question.wav"
    subprocess.run(
        ["espeak-ng", "-w", str(file), "What do you see on the table in front of me?"], check=True, timeout=30
    )
    samples, rate_hz = soundfile.read(file, dtype="float32")
    spoken = (soxr.resample(samples, rate_hz, 24_000) * 32767).astype("<i2").tobytes()
    return bytes(48_000) + spoken + bytes(96_000)


@pytest.mark.slow
def test_a_checkpoint_that_is_broken_is_told_by_file_and_tensor(checkpoint: Path, tmp_path: Path) -> None:
    for file in checkpoint.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = sorted(tmp_path.glob("*.safetensors"))[0]
    weights.write_bytes(weights.read_bytes()[:-1000])
    done = subprocess.run(
        [sys.executable, "main.py", "engine", "--checkpoint", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 3
    assert json.loads(done.stdout)["url"].startswith("ws://127.0.0.1:")
    (reason,) = [line for line in done.stderr.splitlines() if line.startswith("sightline engine: ")]
    assert weights.name in reason
