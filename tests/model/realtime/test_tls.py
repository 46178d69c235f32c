"""Encrypted connections, health and metrics, on a real socket."""

from __future__ import annotations

import asyncio
import json
import ssl
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from model.realtime.metrics import Metrics
from model.realtime.server_events import OutputAudioDelta, Response, ResponseCreated, ResponseDone, SpeechStopped
from model.realtime.tls import load_certificate, own_certificate
from tests.model.realtime.harness import pcm16
from tests.model.realtime.sockets import TOKEN, connected, load_scripted, serving

ROOT = Path(__file__).parents[3]


def fetch(url: str, token: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_certificate_is_made_once_and_its_key_is_nobody_elses(tmp_path: Path) -> None:
    first = own_certificate(tmp_path / "tls", "0.0.0.0")
    assert own_certificate(tmp_path / "tls", "0.0.0.0").fingerprint == first.fingerprint
    assert len(first.fingerprint) == 64
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / "tls" / "engine-key.pem").stat().st_mode) == 0o600


def test_what_is_no_certificate_is_told(tmp_path: Path) -> None:
    wrong = tmp_path / "cert.pem"
    with pytest.raises(ValueError, match="cannot be read"):
        load_certificate(wrong, None)
    wrong.write_text("no certificate")
    with pytest.raises(ValueError, match="PEM"):
        load_certificate(wrong, None)


def test_connections_are_encrypted_and_verified(tmp_path: Path) -> None:
    certificate = own_certificate(tmp_path, "127.0.0.1")

    async def test() -> None:
        _, load = load_scripted()
        async with serving(load, tls=certificate.context) as (_, url):
            assert url.startswith("wss://")
            trusted = ssl.create_default_context(cafile=str(tmp_path / "engine-cert.pem"))
            headers = {"Authorization": f"Bearer {TOKEN}"}
            async with connect(url, additional_headers=headers, ssl=trusted) as connection:
                assert json.loads(await connection.recv())["type"] == "session.created"
            with pytest.raises(ssl.SSLCertVerificationError):
                async with connect(url, additional_headers=headers, ssl=ssl.create_default_context()):
                    pass

    asyncio.run(test())


def test_the_command_prints_a_line_to_paste(tmp_path: Path) -> None:
    command = [sys.executable, "main.py", "engine", "--tls-self", str(tmp_path), "--exit-with-stdin"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        ready: dict[str, Any] = json.loads(process.stdout.readline())
        process.stdin.close()
        process.wait(20)
    assert ready["url"].startswith("wss://127.0.0.1:")
    assert ready["line"] == f"{ready['url']}#token={ready['token']}&sha256={ready['fingerprint']}"


def test_health_and_metrics() -> None:
    async def test() -> None:
        _, load = load_scripted()
        async with serving(load) as (_, url), connected(url) as client:
            await client.until("session.created")
            await client.say("input_audio_buffer.append", audio=pcm16(0.5))
            await client.say("input_audio_buffer.commit")
            await client.say("response.create")
            await client.until("response.done")
            base = url.replace("ws://", "http://").removesuffix("/v1/realtime")
            code, text = await asyncio.to_thread(fetch, f"{base}/health")
            assert (code, json.loads(text)) == (200, {"status": "ready", "clients": 1, "max_clients": 1})
            assert (await asyncio.to_thread(fetch, f"{base}/metrics"))[0] == 404
            code, text = await asyncio.to_thread(fetch, f"{base}/metrics", TOKEN)
            assert code == 200
            assert "sightline_active_sessions 1.0" in text
            assert "sightline_first_sound_seconds_count 1.0" in text
            assert 'sightline_responses_total{status="completed"} 1.0' in text

    asyncio.run(test())


def test_first_sound_factor_and_dropouts_are_measured() -> None:
    metrics, client = Metrics(), object()
    second = "A" * (48_000 * 4 // 3)
    metrics.sent(client, SpeechStopped(0, "item"), 10.0)
    metrics.sent(client, ResponseCreated(Response("resp", "in_progress")), 10.5)
    for now_s in (10.8, 11.0, 13.0):  # the third second of speech comes 0.2 s after the second has been played
        metrics.sent(client, OutputAudioDelta("resp", "item", second), now_s)
    metrics.sent(client, ResponseDone(Response("resp", "completed")), 13.1)
    text = metrics.text().decode()
    assert 'sightline_first_sound_seconds_bucket{le="0.75"} 0.0' in text
    assert 'sightline_first_sound_seconds_bucket{le="1.0"} 1.0' in text
    assert "sightline_dropouts_total 1.0" in text
    assert 'sightline_real_time_factor_bucket{le="0.75"} 1.0' in text
