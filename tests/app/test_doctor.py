from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from app.doctor import (
    Finding,
    Probe,
    as_json,
    as_text,
    checkpoint_probe,
    common_probes,
    devices_probe,
    engine_probe,
    examine,
    exit_status,
    libraries_probe,
    memory_bytes,
)


def test_this_machine_is_examined_for_real() -> None:
    findings = examine(common_probes())
    names = [finding.name for finding in findings]
    assert names[0] == "Python"
    assert {"memory", "GPU", "display", "torch", "system packages"} <= set(names)
    by_name = {finding.name: finding for finding in findings}
    assert by_name["torch"].status == "ok"
    assert by_name["opencv-python-headless"].status == "ok"
    assert memory_bytes()[0] > 100e6


def test_a_check_that_raises_or_hangs_is_a_finding() -> None:
    release = threading.Event()

    def fail() -> Finding:
        raise KeyError("cable")

    def hang() -> Finding:
        release.wait(30)
        return Finding("slow", "ok", "")

    started_s = time.monotonic()
    findings = examine(
        [Probe("broken", fail), Probe("slow", hang), Probe("good", lambda: Finding("good", "ok", "x"))], 0.3
    )
    release.set()
    assert time.monotonic() - started_s < 5
    assert [finding.status for finding in findings] == ["missing", "missing", "ok"]
    assert "cable" in findings[0].detail
    assert "No answer" in findings[1].detail
    assert exit_status(findings) == 1


def test_missing_libraries_come_with_the_line_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    finding = libraries_probe(lambda name: None if name == "portaudio" else f"lib{name}.so").run()
    assert finding.status == "missing"
    assert finding.remedy == "sudo apt-get install -y libportaudio2"


def test_devices() -> None:
    def no_portaudio() -> list[str]:
        raise OSError("PortAudio library not found")

    assert devices_probe("microphones", lambda: ["USB"], "plug one in").run() == Finding("microphones", "ok", "USB")
    assert devices_probe("microphones", lambda: [], "plug one in").run().remedy == "plug one in"
    assert "PortAudio" in devices_probe("microphones", no_portaudio, "install it").run().detail


def test_engine() -> None:
    def dead() -> str:
        raise RuntimeError("it ended with status 1")

    assert engine_probe(lambda: "answers").run().status == "ok"
    assert "status 1" in engine_probe(dead).run().detail


def test_checkpoints(tmp_path: Path) -> None:
    probe = checkpoint_probe(lambda: tmp_path)
    assert "no config.json" in probe.run().detail
    (tmp_path / "config.json").write_text("{")
    assert "no valid JSON" in probe.run().detail
    (tmp_path / "config.json").write_text('{"model_type": "qwen3_omni_moe"}')
    assert "no .safetensors" in probe.run().detail
    (tmp_path / "model-1.safetensors").write_bytes(b"x" * 10)
    assert probe.run().status == "ok"
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-2.safetensors"}}')
    assert "model-2.safetensors" in probe.run().detail


def test_output_for_people_and_programs() -> None:
    findings = [Finding("camera", "missing", "none found", "Plug one in."), Finding("memory", "ok", "8 GiB")]
    text = as_text(findings)
    assert "-> Plug one in." in text
    assert "1 missing" in text
    assert json.loads(as_json(findings)) == {
        "ok": False,
        "findings": [
            {"name": "camera", "status": "missing", "detail": "none found", "remedy": "Plug one in."},
            {"name": "memory", "status": "ok", "detail": "8 GiB", "remedy": ""},
        ],
    }
    assert exit_status(findings[1:]) == 0
