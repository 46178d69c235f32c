"""Takes pictures of a running conversation, with the real engine and devices: `python -m tests.e2e.screenshots FOLDER`.

Those in docs/ are by tests/app/ui/pictures.py, which needs neither and comes out the same everywhere.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.e2e.desktop import ENGINE_LIMIT_S, ROOT, Desktop, session

SAMPLES = ROOT / "assets" / "samples"


def take(folder: Path) -> None:
    """Listening, speaking and a problem, with the camera on a picture of a table."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"pictures": f"file:{SAMPLES / 'table.jpg'}", "reply_limit_s": 20.0}
    with session() as user, user.app(settings) as app:
        app.wait_state("Listening", limit_s=ENGINE_LIMIT_S)
        app.wait_until(lambda: _caught_speaking(app, folder / "window-speaking.png"), "a reply that lasts", 120)
        app.wait_state("Listening")
        app.wait_until(lambda: "…" not in app.transcript, "the question is written down", 60)
        if "random weights" in app.status("Engine:"):
            app.key("ctrl+n")  # what random weights say is nothing to show
            app.wait_until(lambda: "You" not in app.transcript, "a new conversation")
        app.screenshot(folder / "window-listening.png")
        app.sound.unload("microphone")
        app.sound.unload("micpipe")
        app.wait_until(lambda: "microphone" in app.problems.lower(), "the problem is shown")
        app.wait_until(lambda: _stands_still(app, folder / "window-problem.png"), "the level meter has fallen")
        app.quit()


def _caught_speaking(app: Desktop, path: Path) -> bool:
    """Asks, and takes the picture while the reply is spoken; False when the reply was over before it was taken."""
    app.wait_state("Listening")
    app.sound.speak(SAMPLES / "question-1.wav", wait=False)
    app.wait_state("Speaking")
    while len(app.transcript.rpartition("Sightline")[2]) <= 10:
        if app.state != "Speaking":
            return False
    app.screenshot(path)
    return app.state == "Speaking"


def _stands_still(app: Desktop, path: Path) -> bool:
    """Takes the picture again; True when it is the same as before."""
    before = path.read_bytes() if path.exists() else b""
    app.screenshot(path)
    return path.read_bytes() == before


if __name__ == "__main__":
    take(Path(sys.argv[1]).resolve())
