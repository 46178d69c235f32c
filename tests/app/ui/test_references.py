"""The Qt binding must not eat references: a window runs for hours (see DECISIONS.md on PySide6 6.12)."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

import pytest
from PySide6.QtWidgets import QApplication

from app.view import Phase, TranscriptTurn
from tests.app.ui.conftest import Desk, spin_until
from tests.app.ui.scripted import GreyPicture, ScriptedAssistant, parts

N_ROUNDS = 300
SINGLETONS = (None, True, False)


@pytest.mark.slow
def test_showing_views_costs_no_references_of_the_singletons(open_desk: Callable[..., Desk]) -> None:
    number = 0
    rgb = bytes(64 * 36 * 3)

    def moving() -> GreyPicture:
        nonlocal number
        number += 1
        return GreyPicture(number, 64, 36, rgb)

    assistant = ScriptedAssistant()
    made = parts(assistant)
    desk = open_desk(type(made)(made.settings, made.compose, made.list_devices, moving), assistant)
    spin_until(assistant.started.is_set, "the start")

    def rounds() -> None:
        for step in range(N_ROUNDS):
            assistant.show(
                phase=list(Phase)[step % 5],
                level_dbfs=-60.0 + step % 50,
                transcript=(TranscriptTurn(0, "assistant", 0.0, "word " * (step % 7)),),
            )
            desk.window.pictures.preview._look()
            QApplication.processEvents()

    rounds()
    gc.collect()
    before = [sys.getrefcount(one) for one in SINGLETONS]
    rounds()
    gc.collect()
    lost = [sys.getrefcount(one) - had for one, had in zip(SINGLETONS, before, strict=True)]
    # The faulty version lost several for each round; what caches and the collector do is a handful altogether.
    assert min(lost) > -N_ROUNDS // 3, lost
    assert max(lost) < N_ROUNDS // 3, lost
