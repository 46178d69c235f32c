"""Records a conversation with the real app, window and sound: `python -m tests.e2e.recording docs/conversation.mp4`.

The user's voice (assets/samples) goes into the virtual microphone, replies come out of the virtual speaker; both are
heard in the recording as they were said, without cuts. Best on a machine that does nothing else.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.e2e.desktop import ENGINE_LIMIT_S, ROOT, Desktop, session
from tests.sound_server import MICROPHONE_PIPE, SPEAKER

SAMPLES = ROOT / "assets" / "samples"
QUESTIONS = ("question-1.wav", "question-2.wav", "question-3.wav", "question-7.wav", "question-6.wav", "question-8.wav")
FRAMES_PER_S = 12
PAUSE_S = 0.6  # a person hears the tone for "listening" out before they speak


def record(path: Path) -> None:
    settings = {"pictures": f"file:{SAMPLES / 'table.jpg'}", "reply_limit_s": 20.0}
    with session() as user, user.app(settings) as app:
        app.wait_state("Listening", limit_s=ENGINE_LIMIT_S)
        with subprocess.Popen(_ffmpeg(app, path), env=app.environment, stdin=subprocess.DEVNULL) as recorder:
            for number, question in enumerate(QUESTIONS, start=1):
                app.wait_state("Listening")
                time.sleep(PAUSE_S)
                app.sound.speak(SAMPLES / question)
                app.wait_until(lambda number=number: _answers(app) >= number, f"{question} is answered", 60)
                app.wait_state("Listening")
            recorder.send_signal(signal.SIGINT)  # it writes the end of the file
            recorder.wait(30)
        print(app.transcript)
        app.quit()


def _answers(app: Desktop) -> int:
    return app.transcript.count("Sightline  ")


def _ffmpeg(app: Desktop, path: Path) -> list[str]:
    search = ["xdotool", "search", "--onlyvisible", "--name", "^Sightline$"]
    window = subprocess.run(search, env=app.environment, capture_output=True, text=True, check=True).stdout.split()[0]
    sound = [part for sink in (SPEAKER, MICROPHONE_PIPE) for part in ("-f", "pulse", "-i", f"{sink}.monitor")]
    return [
        "ffmpeg", "-y", "-loglevel", "error", "-f", "x11grab", "-framerate", str(FRAMES_PER_S), "-draw_mouse", "0",
        "-window_id", window, "-i", app.environment["DISPLAY"], *sound,
        "-filter_complex", "[1:a][2:a]amix=inputs=2:normalize=0[a];[0:v]scale=trunc(iw/2)*2:trunc(ih/2)*2[v]",
        "-map", "[v]", "-map", "[a]", "-c:v", "libx264", "-preset", "veryfast", "-crf", "30", "-pix_fmt", "yuv420p",
        "-c:a", "aac", "-b:a", "64k", "-ac", "1", "-movflags", "+faststart", str(path),
    ]  # fmt: skip


if __name__ == "__main__":
    record(Path(sys.argv[1]).resolve())
