"""Getting and switching, as values: what is shown, what is announced, when the former model comes back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.models.state import Getting, announcement, offers_of, report, short_name, time_words
from app.models.switching import Choice, Outcome, Switch
from app.view import EngineInfo, Phase, Problem, View


def progress(percent: int, phase: str = "fetching") -> dict[str, object]:
    return {
        "event": "progress", "phase": phase, "percent": percent, "done_bytes": percent * 10**7,
        "total_bytes": 10**9, "bytes_per_s": 1e6, "left_s": 300.0, "note": "",
    }  # fmt: skip


def test_each_ten_percent_is_announced_once_and_the_end() -> None:
    now = Getting("tiny/flash", "looking")
    said = []
    for event in (
        *(progress(percent) for percent in (0, 3, 9, 10, 11, 19, 35, 35, 36, 80, 99)),
        progress(99, "converting"),
        {"event": "done", "path": "/models/tiny", "name": "tiny"},
    ):
        before, now = now, report(now, event)
        said.append(announcement(before, now))
    assert [words for words in said if words] == [
        "Model: 10 percent",
        "Model: 30 percent",
        "Model: 80 percent",
        "Model: 90 percent",
        "tiny is ready. Choose “Switch to it” on the Models page to talk with it.",
    ]


def test_a_file_that_is_fetched_again_takes_nothing_back() -> None:
    now = report(report(Getting("m", "looking"), progress(50)), progress(40))
    assert now.percent == 50
    assert announcement(report(Getting("m", "looking"), progress(50)), now) == ""


def test_a_failure_says_what_to_do() -> None:
    before = report(Getting("m", "looking"), progress(42))
    after = report(before, {"event": "failed", "message": "The disk is full.", "remedy": "Free some room."})
    assert announcement(before, after) == "Getting the model failed. The disk is full. Free some room."
    assert after.is_over


def test_a_pause_keeps_what_has_come() -> None:
    before = report(Getting("m", "looking"), progress(42))
    after = replace(before, phase="paused")
    assert announcement(before, after) == "m: paused at 42 percent; what has come is kept"


@pytest.mark.parametrize("event", [{}, {"event": "other"}, {"event": "progress", "phase": "no"}, {"event": "done"}])
def test_what_is_not_understood_changes_nothing(event: dict[str, object]) -> None:
    now = Getting("m", "fetching", 12)
    assert report(now, event) == now


def test_time_is_said_as_people_say_it() -> None:
    assert [time_words(s) for s in (None, 20, 300, 7200)] == [
        "", "about a minute left", "about 5 minutes left", "about 2 hours left",
    ]  # fmt: skip


def test_an_address_has_a_short_name() -> None:
    given = ("hf:P/Big", "https://hub.example/P/Big", "P/Big", "/home/me/models/own")
    assert [short_name(what) for what in given] == ["P/Big", "P/Big", "P/Big", "models/own"]


ADVICE = {
    "verdict": "fits", "why": "It needs 20 GB.", "settings": [], "disk_bytes": 20 * 10**9,
    "speed": "First sound 1.2 s after a question (measured here).",
}  # fmt: skip
ENTRY = {
    "name": "big", "title": "Big", "about": "Speaks.", "publisher": "P", "licence": "L", "huggingface": "P/Big",
    "modelscope": "P/Big", "n_bytes": 70 * 10**9, "exact_size": True, "speaks": True, "default_bits": 4,
    "shipped": False, "advice": ADVICE,
}  # fmt: skip
MACHINE = {"device": "a card", "free_bytes": 24 * 10**9, "disk_bytes": 10**11}


def test_what_is_here_is_offered_beside_the_catalogue() -> None:
    here = [
        {"name": "P--Big-int4", "address": "hf:P/Big", "bits": 4, "n_bytes": 20 * 10**9, "path": "/m/P--Big-int4"},
        {"name": "P--Big-int8", "address": "hf:P/Big", "bits": 8, "n_bytes": 36 * 10**9, "path": "/m/P--Big-int8"},
        {"name": "own", "address": "/home/me/own", "bits": None, "n_bytes": 10**9, "path": "/m/own"},
    ]
    offers, machine = offers_of({"catalogue": [ENTRY], "here": here, "default": "big", "machine": MACHINE})
    assert [(offer.name, offer.path, offer.is_here) for offer in offers] == [
        ("big", "/m/P--Big-int4", True),
        ("P--Big-int8", "/m/P--Big-int8", True),
        ("own", "/m/own", True),
    ]
    assert ADVICE["speed"] in offers[0].words
    assert machine == "This machine: a card, 24.0 GB of memory and 100 GB of disk free."


OLD, NEW = Choice("", "int8"), Choice("/models/new", "none")
READY = EngineInfo(model="flash-mini", ready=True)


def outcome_of(*views: View) -> Outcome | None:
    switch: Switch | None = Switch(OLD, NEW)
    outcome = None
    for view in views:
        assert switch is not None, "it was over already"
        switch, outcome = switch.observe(view)
    assert (switch is None) == (outcome is not None)
    return outcome


def test_a_switch_ends_when_the_new_model_is_ready() -> None:
    listening = View(phase=Phase.LISTENING, engine=READY)
    loading = View(phase=Phase.STARTING)
    assert outcome_of(listening) is None  # the former model's last views
    assert outcome_of(listening, loading, loading) is None
    assert outcome_of(listening, loading, View(phase=Phase.LISTENING, engine=READY)) == Outcome("switched")


def test_a_model_that_does_not_load_gives_way_to_the_former_one() -> None:
    problem = Problem("engine failed", "The checkpoint has no tokenizer.")
    failed = View(phase=Phase.FAILED, problems=(Problem("pictures", "No camera."), problem))
    assert outcome_of(View(phase=Phase.STARTING), failed) == Outcome("back", "The checkpoint has no tokenizer.")
    assert OLD.changes == (("checkpoint", ""), ("quantize", "int8"))
