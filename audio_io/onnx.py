"""Small ONNX models on this machine's processor, one thread each, in a process that sends nothing anywhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from audio_io.library import import_package


def open_model(path: Path, what: str) -> Any:
    """An onnxruntime session. Raises PackageMissingError; `what` says what does not work without the package.

    The published builds report to their maker unless told before they load (since 1.29 on Linux and macOS; Windows by
    its own switch), and leave an identifier in the user's cache folder.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    runtime: Any = import_package("onnxruntime", "onnxruntime", what)
    runtime.disable_telemetry_events()
    options = runtime.SessionOptions()
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
