"""`bench clients`: what is counted, and the conversations themselves against a real server with a scripted model."""

from __future__ import annotations

import asyncio

import pytest

from commands.clients_bench import Answer, _talk, summarise
from commands.errors import CommandError
from tests.app.engine_server import TOKEN, engine_server
from tests.model.realtime.harness import pcm16
from tests.model.realtime.scripted import ScriptedFlash


def test_what_is_counted() -> None:
    answers = [Answer(0, 0.1, 1.0, 2.0), Answer(0, 0.2, 1.0, 2.0), Answer(1, 0.9, 2.0, 2.0), Answer(1, 0.3, 1.0, 2.0)]
    assert summarise(answers) == {
        "replies": 4,
        "factor": 0.625,
        "behind": 0.2,  # 0.75 against 0.5
        "first_sound_p50_s": 0.2,
        "first_sound_p95_s": 0.9,
    }


def test_every_client_is_asked_in_every_round_but_the_first() -> None:
    flash = ScriptedFlash()
    with engine_server(flash, max_clients=3) as url:
        answers = asyncio.run(_talk(url, TOKEN, 3, 2, [pcm16(0.5)]))
    assert sorted(answer.client for answer in answers) == [0, 0, 1, 1, 2, 2]
    assert {round(answer.spoken_s, 3) for answer in answers} == {0.32}
    assert all(answer.made_s >= 0 and answer.first_s > 0 for answer in answers)
    assert len(flash.sessions) == 3


def test_an_error_of_the_engine_is_told() -> None:
    with engine_server() as url, pytest.raises(CommandError, match="Nothing to commit"):
        asyncio.run(_talk(url, TOKEN, 1, 1, [""]))
