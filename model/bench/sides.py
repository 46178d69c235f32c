"""The two sides of `bench reference`, each run in a process of its own: the reference implementation and ours.

Both get the same checkpoint directory and the same sound and pictures, and write what they measured as JSON.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from model.checkpoint.config import load_config
from model.conversation.session import Session
from model.network.audio_encoder import tokens_of_frames
from model.network.images import Grid, ImageSettings, patchify, resize, smart_size
from model.network.mel import RATE_HZ

INSTRUCTIONS = "You are a helpful assistant."
VOICE = "ethan"
CHUNK_S = 0.1  # how the sound arrives at ours
PICTURE_SIZE = (240, 320)


@dataclass(frozen=True)
class Case:
    """What is asked of both sides."""

    checkpoint: Path
    sound_s: float
    n_pictures: int
    n_tokens: int
    n_frames: int
    n_threads: int
    device: str = "cpu"
    dtype: str = "float32"

    @property
    def seconds_per_picture(self) -> float:
        """Pictures are spread evenly over the sound."""
        return self.sound_s / max(self.n_pictures, 1)

    def sound(self) -> npt.NDArray[np.float32]:
        """Something like speech: a gliding tone with overtones, syllables and a little noise. Float32, 16 kHz."""
        at_s = np.arange(round(self.sound_s * RATE_HZ)) / RATE_HZ
        phase = 2 * np.pi * np.cumsum(140 + 40 * np.sin(2 * np.pi * 0.7 * at_s)) / RATE_HZ
        voice = sum(np.sin(k * phase) / k for k in range(1, 12))
        syllables = 0.5 + 0.5 * np.sin(2 * np.pi * 4 * at_s)
        noise = np.random.default_rng(0).standard_normal(len(at_s))
        return (0.1 * voice * syllables + 0.01 * noise).astype(np.float32)

    def pictures(self) -> list[npt.NDArray[np.uint8]]:
        """Coloured waves, uint8 [H, W, 3]."""
        y, x = np.mgrid[: PICTURE_SIZE[0], : PICTURE_SIZE[1]]
        shades = [
            np.stack([np.sin(x / (20 + 9 * n + k)) + np.cos(y / (15 + 7 * k + n)) for k in range(3)], axis=-1)
            for n in range(self.n_pictures)
        ]
        return [((shade + 2) / 4 * 255).astype(np.uint8) for shade in shades]


@dataclass
class Measured:
    """What one side took. Seconds; first sound from the moment when all input is there at once.

    Processor time tells the sides apart even when other programs slow the machine down.
    """

    first_sound_s: float
    first_sound_cpu_s: float
    total_s: float
    cpu_s: float
    thinker_ms_per_token: float
    ms_per_frame: float
    peak_mb: float
    imported_mb: float  # of the peak: the process before the checkpoint was opened
    load_s: float
    tokens: list[int]
    codes: list[list[int]]
    live_first_sound_s: float | None = None  # from the end of the user's speech, when the sound came as it was spoken
    samples_file: str = ""

    def as_json(self) -> dict[str, Any]:
        """For the parent process."""
        return asdict(self)


def peak_mb() -> float:
    """The most memory this process has had resident, in MB (10^6 bytes)."""
    # Not ru_maxrss on Linux: it starts at the parent's, across exec.
    return _status_mb("VmHWM")


def resident_mb() -> float:
    """Memory of this process that is resident now, in MB (10^6 bytes); on other systems than Linux, the most so far."""
    return _status_mb("VmRSS")


def _status_mb(field: str) -> float:
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith(field))
        return int(line.split()[1]) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


# ---- ours --------------------------------------------------------------------------------------------------------


def run_ours(case: Case, out: Path) -> Measured:
    """Our runtime: the same conversation twice, once with all input at once, once as it is spoken."""
    from model.flash import load

    torch.set_num_threads(case.n_threads)
    imported = peak_mb()
    clock = perf_counter()
    flash = load(case.checkpoint, device=case.device, dtype=case.dtype)
    load_s = perf_counter() - clock
    _our_reply(flash, replace(case, sound_s=1.0, n_pictures=1, n_tokens=3, n_frames=3))
    codes: list[torch.Tensor] = []
    assert flash.code2wav is not None
    hook = flash.code2wav.register_forward_pre_hook(lambda _module, inputs: codes.append(inputs[0].clone()))
    cpu = process_time()
    reply = _our_reply(flash, case)
    cpu = process_time() - cpu
    hook.remove()
    live = _our_reply(flash, case, live=True)
    np.save(out, reply.samples)
    stats = reply.stats
    return Measured(
        first_sound_s=reply.first_sound_s,
        first_sound_cpu_s=reply.first_sound_cpu_s,
        total_s=reply.total_s,
        cpu_s=cpu,
        thinker_ms_per_token=1e3 * stats.thinker_s / stats.n_text_tokens,
        ms_per_frame=1e3 * (stats.talker_s + stats.code2wav_s) / stats.n_frames,
        peak_mb=peak_mb(),
        imported_mb=imported,
        load_s=load_s,
        tokens=reply.tokens,
        codes=torch.cat(codes).tolist(),
        live_first_sound_s=live.first_sound_s,
        samples_file=str(out),
    )


@dataclass
class _OurReply:
    first_sound_s: float
    first_sound_cpu_s: float
    total_s: float
    tokens: list[int]
    samples: npt.NDArray[np.float32]
    stats: Any


def _our_reply(flash: Any, case: Case, *, live: bool = False) -> _OurReply:
    from model.conversation.events import ReplyDone, SpeechDelta
    from model.network.sampling import GREEDY, TALKER_SAMPLING

    session = Session(
        flash,
        INSTRUCTIONS,
        VOICE,
        thinker_sampling=GREEDY,
        talker_sampling=TALKER_SAMPLING.greedy(),
        predictor_sampling=GREEDY,
        max_positions=4096,
    )
    started, started_cpu = perf_counter(), process_time()
    late_s = hear(session, case)
    # Live, work goes on while the user speaks; only what is late at the end of speech is waited for.
    origin = perf_counter() - late_s if live else started
    first: float | None = None
    first_cpu = 0.0
    samples, done = [], None
    for event in session.reply(max_tokens=case.n_tokens, max_frames=case.n_frames):
        if isinstance(event, SpeechDelta):
            if first is None:
                first, first_cpu = perf_counter() - origin, process_time() - started_cpu
            samples.append(event.samples)
        elif isinstance(event, ReplyDone):
            done = event
    total = perf_counter() - origin
    assert done is not None
    assert first is not None
    assert session._last is not None
    tokens = list(session._last.spoken.tokens)
    return _OurReply(first, first_cpu, total, tokens, np.concatenate(samples), done.stats)


def hear(session: Any, case: Case) -> float:
    """Gives pictures and sound in the order of their time; returns how far behind a live user that would end.

    The clock of the live user is simulated: a chunk can be worked on when it has been spoken and the ones before are
    done.
    """
    sound, pictures = case.sound(), case.pictures()
    step = round(CHUNK_S * RATE_HZ)
    n_seen, busy_until = 0, 0.0
    for start in range(0, len(sound), step):
        spoken_s = min(start + step, len(sound)) / RATE_HZ
        clock = perf_counter()
        while n_seen < len(pictures) and n_seen * case.seconds_per_picture * RATE_HZ < start + step:
            session.see(pictures[n_seen], at_s=n_seen * case.seconds_per_picture)
            n_seen += 1
        session.hear(sound[start : start + step], RATE_HZ)
        busy_until = max(busy_until, spoken_s) + perf_counter() - clock
    return busy_until - len(sound) / RATE_HZ


# ---- the reference -------------------------------------------------------------------------------------------------


def run_reference(case: Case, out: Path) -> Measured:
    """transformers' generate() on the same conversation."""
    transformers: Any = import_module("transformers")
    model_class = transformers.Qwen3OmniMoeForConditionalGeneration
    torch.set_num_threads(case.n_threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    imported = peak_mb()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clock = perf_counter()
        model = model_class.from_pretrained(case.checkpoint, dtype=getattr(torch, case.dtype)).to(case.device).eval()
        load_s = perf_counter() - clock
        # Its Talker computes the positions of sound with the audio encoder's config, which its own config lacks.
        model.talker.config.audio_config = model.config.thinker_config.audio_config
        _reference_reply(model, replace(case, sound_s=1.0, n_pictures=1, n_tokens=3, n_frames=3))
        cpu = process_time()
        result = _reference_reply(model, case)
        cpu = process_time() - cpu
    np.save(out, result["samples"])
    times: _Times = result["times"]
    n_tokens = len(result["tokens"])
    n_frames = len(result["codes"])
    return Measured(
        first_sound_s=result["total_s"],
        first_sound_cpu_s=cpu,
        total_s=result["total_s"],
        cpu_s=cpu,
        thinker_ms_per_token=1e3 * (times.thinker_s - times.prefill_s) / max(n_tokens - 1, 1),
        ms_per_frame=1e3 * (times.talker_s + times.code2wav_s) / n_frames,
        peak_mb=peak_mb(),
        imported_mb=imported,
        load_s=load_s,
        tokens=result["tokens"],
        codes=result["codes"],
        samples_file=str(out),
    )


@dataclass
class _Times:
    thinker_s: float = 0.0
    prefill_s: float = 0.0
    talker_s: float = 0.0
    code2wav_s: float = 0.0


def _reference_reply(model: Any, case: Case) -> dict[str, Any]:
    times = _Times()
    codes: list[torch.Tensor] = []
    started = handed_over = perf_counter()

    def timed(call: Callable[..., Any], field: str) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            clock = perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                setattr(times, field, getattr(times, field) + perf_counter() - clock)

        return wrapper

    def keep(given: torch.Tensor, **kwargs: Any) -> Any:
        codes.append(given)
        return decode(given, **kwargs)

    decode = model.code2wav.chunked_decode
    places = ((model.thinker, "generate"), (model.talker, "generate"), (model.code2wav, "chunked_decode"))
    model.thinker.generate = timed(model.thinker.generate, "thinker_s")
    model.talker.generate = timed(model.talker.generate, "talker_s")
    model.code2wav.chunked_decode = timed(keep, "code2wav_s")
    first_step = model.thinker.register_forward_hook(
        lambda *_: setattr(times, "prefill_s", times.prefill_s or perf_counter() - handed_over)
    )
    try:
        inputs = {name: _to(value, case) for name, value in _reference_inputs(case).items()}
        n_prompt = inputs["input_ids"].shape[1]
        handed_over = perf_counter()
        # One token and one frame more than are kept: the last one that it draws is never read.
        sequences, wave = model.generate(
            **inputs,
            speaker=VOICE,
            thinker_max_new_tokens=case.n_tokens + 1,
            thinker_eos_token_id=model.config.im_end_token_id,
            talker_max_new_tokens=case.n_frames + 1,
            talker_do_sample=False,
        )
    finally:
        first_step.remove()
        for owner, name in places:
            delattr(owner, name)
    total = perf_counter() - started
    return {
        "total_s": total,
        "times": times,
        "tokens": sequences[0, n_prompt:].tolist()[: case.n_tokens],
        "codes": codes[0][0].T.tolist(),
        "samples": wave.reshape(-1).float().cpu().numpy(),
    }


def _to(value: Any, case: Case) -> Any:
    """Tensors on the case's device; those with a fraction in its number type."""
    if not isinstance(value, torch.Tensor):
        return value
    return value.to(case.device, getattr(torch, case.dtype) if value.is_floating_point() else None)


def _reference_inputs(case: Case) -> dict[str, Any]:
    """What the reference's processor makes of a chat with one video with sound (the video processor itself needs
    torchvision; its patches are built by ours, which the tests hold to the reference)."""
    transformers: Any = import_module("transformers")
    config = load_config(case.checkpoint)
    settings = ImageSettings.load(case.checkpoint, config.thinker.vision)
    extractor = transformers.WhisperFeatureExtractor.from_pretrained(case.checkpoint)
    sound = extractor(
        case.sound(),
        sampling_rate=RATE_HZ,
        padding=True,
        truncation=False,
        return_attention_mask=True,
        return_tensors="pt",
    )
    factor = settings.patch_size * settings.merge_size
    height, width = smart_size(
        *PICTURE_SIZE, factor=factor, min_pixels=settings.min_pixels, max_pixels=settings.max_pixels
    )
    frames = [resize(rgb, height, width) for rgb in case.pictures() for _ in range(settings.temporal_patch_size)]
    video = patchify(frames, settings)
    n_sound = tokens_of_frames(int(sound["attention_mask"].sum()), 2 * config.thinker.audio.n_window)
    span = _span(video.grid, n_sound, case.seconds_per_picture * config.thinker.position_id_per_seconds, settings)
    text = f"<|im_start|>system\n{INSTRUCTIONS}<|im_end|>\n<|im_start|>user\n{span}<|im_end|>\n<|im_start|>assistant\n"
    ids = transformers.AutoTokenizer.from_pretrained(case.checkpoint)(text, return_tensors="pt")
    return {
        "input_ids": ids["input_ids"],
        "attention_mask": ids["attention_mask"],
        "input_features": sound["input_features"],
        "feature_attention_mask": sound["attention_mask"],
        "pixel_values_videos": video.patches,
        "video_grid_thw": torch.tensor([[video.grid.t, video.grid.h, video.grid.w]]),
        "video_second_per_grid": torch.tensor([case.seconds_per_picture]),
        "use_audio_in_video": True,
        "talker_use_audio_in_video": True,  # generate() does not hand it to the Talker by itself
    }


def _span(grid: Grid, n_sound: int, positions_per_picture: float, settings: ImageSettings) -> str:
    """Placeholders of the reference's audio-in-video span: a picture before the first sound token not earlier."""
    picture = "<|video_pad|>" * (grid.h * grid.w // settings.merge_size**2)
    text, n_placed = "", 0
    for token in range(n_sound):
        while n_placed < grid.t and n_placed * positions_per_picture <= token:
            text += picture
            n_placed += 1
        text += "<|audio_pad|>"
    text += picture * (grid.t - n_placed)
    return f"<|vision_start|><|audio_start|>{text}<|audio_end|><|vision_end|>"
