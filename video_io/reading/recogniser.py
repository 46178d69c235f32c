"""The OCR models: a picture to lines with words and scores. Loaded when first used (0.3 s), about 230 MB."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from video_io.frames import Rgb
from video_io.opencv import shrink
from video_io.reading.page import Line, Word

MAX_SIDE = 2000  # of the picture that words are cut from; more adds time and nothing that can be read
FINDING_SIDE = 864  # of the picture in which lines are looked for; time and memory go with its square
THREADS = max(1, min(4, os.cpu_count() or 1))


class ReadingUnavailableError(Exception):
    """Text cannot be read on this machine. The message says what is missing and how to get it."""


class Recogniser:
    """Wraps RapidOCR with the models inside its package; never fetches anything. One thread uses it."""

    def __init__(self) -> None:
        try:
            import rapidocr
        except ImportError as error:
            raise ReadingUnavailableError(
                "Reading needs the package rapidocr, which is not installed. Run: pip install rapidocr"
            ) from error
        models = Path(rapidocr.__file__).parent / "models"
        finding, recognising = (models / name for name in ("PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx"))
        for path in (finding, recognising):
            if not path.is_file():
                raise ReadingUnavailableError(
                    f"The reading model {path.name} is missing. Run: pip install --force-reinstall 'rapidocr>=3.10'"
                )
        self._ocr: Any = rapidocr.RapidOCR(
            params={
                "Global.log_level": "error",
                "Global.use_cls": False,
                "Global.max_side_len": MAX_SIDE,
                "Global.return_word_box": True,
                "EngineConfig.onnxruntime.intra_op_num_threads": THREADS,
                "Det.model_path": str(finding),
                "Det.limit_type": "max",
                "Det.limit_side_len": FINDING_SIDE,
                "Rec.model_path": str(recognising),
                "Rec.rec_batch_num": 1,  # a batch of long lines takes 200 MB more and no less time
            }
        )

    def lines(self, rgb: Rgb) -> list[Line]:
        """All that looks like text in a picture [H, W, 3], in no order, sure or not."""
        height, width = rgb.shape[:2]
        scale = min(1.0, MAX_SIDE / max(height, width))
        if scale < 1:
            rgb = shrink(rgb, max(1, round(width * scale)), max(1, round(height * scale)))
        found = self._ocr(np.ascontiguousarray(rgb[:, :, ::-1]), text_score=0.0)
        if found.boxes is None or found.txts is None:
            return []
        corners = np.asarray(found.boxes, np.float64).reshape(-1, 4, 2) / scale  # from the top left clockwise
        slope = page_slope(corners)
        word_results = found.word_results if len(found.word_results) == len(found.txts) else [()] * len(found.txts)
        return [
            line(text, float(score), parts, box, slope)
            for text, score, parts, box in zip(found.txts, found.scores, word_results, corners, strict=True)
        ]


def page_slope(corners: NDArray[np.float64]) -> float:
    """The tangent of the angle at which most of the text stands: the median of the lines, long ones counting more."""
    along = (corners[:, 1] - corners[:, 0] + corners[:, 2] - corners[:, 3]) / 2
    across = np.linalg.norm(corners[:, 3] - corners[:, 0], axis=1)
    flat = (np.abs(along[:, 0]) > 2 * across) & (np.abs(along[:, 0]) > np.abs(along[:, 1]))
    if not flat.any():
        return 0.0
    slopes, weights = along[flat, 1] / along[flat, 0], np.abs(along[flat, 0])
    order = np.argsort(slopes)
    return float(slopes[order][np.searchsorted(weights[order].cumsum(), weights.sum() / 2)])


def line(text: str, score: float, parts: Any, corners: NDArray[np.float64], slope: float) -> Line:
    """A line with its box turned level. `parts`: the recogniser's (text, score, box) of each word."""
    length = math.hypot(1, slope)
    cosine, sine = 1 / length, slope / length
    xs = corners[:, 0] * cosine + corners[:, 1] * sine
    ys = corners[:, 1] * cosine - corners[:, 0] * sine
    height = float(np.linalg.norm(corners[3] - corners[0]) + np.linalg.norm(corners[2] - corners[1])) / 2
    return Line(
        words=_words(text, score, parts),
        score=score,
        left=float(xs.min()),
        top=float((ys[0] + ys[1]) / 2),
        right=float(xs.max()),
        bottom=float((ys[2] + ys[3]) / 2),
        height=height,
        slope=slope,
        corners=tuple((float(x), float(y)) for x, y in corners),
    )


def _words(text: str, score: float, parts: Any) -> tuple[Word, ...]:
    """The words of a text, each as sure as its least sure part; the recogniser cuts elsewhere than we do."""
    scores = [float(part[1]) for part in parts for letter in str(part[0]) if not letter.isspace()]
    words, at = text.split(), 0
    if len(scores) != sum(map(len, words)):
        return tuple(Word(word, score) for word in words)
    made = []
    for word in words:
        made.append(Word(word, min(scores[at : at + len(word)])))
        at += len(word)
    return tuple(made)
