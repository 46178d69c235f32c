from __future__ import annotations

import sys

import pytest

from app.ui import display
from app.ui.display import NoDisplay, check_display

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there always is a display")


@pytest.mark.parametrize("environment", [{}, {"DISPLAY": ":987"}, {"DISPLAY": "127.0.0.1:54000"}])
def test_a_display_that_is_not_there_is_said(environment: dict[str, str]) -> None:
    with pytest.raises(NoDisplay, match="converse"):
        check_display(environment)


@pytest.mark.parametrize("environment", [{"QT_QPA_PLATFORM": "offscreen"}, {"WAYLAND_DISPLAY": "wayland-0"}])
def test_other_platforms_are_left_to_qt(environment: dict[str, str]) -> None:
    check_display(environment)


def test_missing_libraries_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "X11_LIBRARIES", {"libnot-there.so.9": "libnot-there9"})
    monkeypatch.setattr(display, "_answers", lambda _display: True)
    with pytest.raises(NoDisplay, match="apt-get install -y libnot-there9"):
        check_display({"DISPLAY": ":0"})
