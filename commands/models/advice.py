"""What this machine can expect of a model: fits, with which settings, how fast; each figure measured or derived.

The first sound of a model that `bench latency` has tried here is measured. Else, where `bench machine` has timed this
processor's products, speed is derived from them. Else it is derived from bytes: a token or a frame of speech cannot
take less time than reading the weights that it needs, at the rate at which this machine's memory was read a moment ago.
That is a bound ("at best"), and it is called that.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch

from commands.models.measured import Measured, read_measured
from model.checkpoint.config import ModelConfig, parse_config
from model.device import known_free_bytes
from model.quant.advice import CARD, HOST_LINK_BYTES_PER_S, Device, fit_plan
from model.quant.packing import QuantSpec
from model.quant.parts import Component, Policy
from model.quant.plan import CPU_RESERVE_BYTES, GB, Plan, Settings
from model_hub.catalogue import CATALOGUE, Entry
from model_hub.store import ModelStore

Verdict = Literal["fits", "fits with settings", "does not fit", "ready", "unknown"]
AT_BEST = "derived, at best: from the bytes that have to be read"
BENCH_SHAPE, BENCH_BITS = "30b-a3b", 4
"""What `bench machine` speaks of."""

FRAME_S = 0.08
TOKENS_PER_S_OF_SPEECH = 4.0
END_OF_TURN_S = 0.6
PUBLISHED_INT4 = Policy(dict.fromkeys((Component.THINKER_EXPERTS, Component.THINKER_ATTENTION), QuantSpec(4, 128)))
"""How models are stored that others have published in 4 bits: the Thinker's layers alone."""
PROBE_BYTES = 256 * 2**20
SPARE_DISK_BYTES = GB


@dataclass(frozen=True)
class Machine:
    """This machine as far as models care. `read_bytes_per_s`: measured just now."""

    device: str
    is_card: bool
    memory_bytes: int
    free_bytes: int
    disk_bytes: int
    n_cores: int
    read_bytes_per_s: float
    measured: Measured = field(default_factory=Measured)


@dataclass(frozen=True)
class Expectation:
    """Seconds from the user's last word to the first sound (without a voice: the first word), and seconds of work per
    second of speech. None: not known. `..._is`: "measured ..." or "derived ...", with how.
    """

    first_sound_s: float | None = None
    first_sound_is: str = ""
    real_time_factor: float | None = None
    real_time_factor_is: str = ""

    def words(self, *, speaks: bool) -> str:
        """A sentence; "" where nothing is known."""
        parts = []
        if self.first_sound_s is not None:
            what = "sound" if speaks else "word"
            same = self.first_sound_is == self.real_time_factor_is
            mark = "" if same else f" ({self.first_sound_is})"
            parts.append(f"first {what} {_short(self.first_sound_s)} s after a question{mark}")
        if self.real_time_factor is not None:
            factor = f"{_short(self.real_time_factor)} s of work for a second of speech"
            parts.append(f"{factor} ({self.real_time_factor_is})")
        text = ", ".join(parts)
        return f"{text[0].upper()}{text[1:]}." if text else ""


@dataclass(frozen=True)
class Advice:
    """For one model on one machine."""

    name: str
    verdict: Verdict
    why: str
    settings: tuple[str, ...] = ()
    bits: int | None = None
    download_bytes: int = 0
    disk_bytes: int = 0
    memory_bytes: int = 0
    expects: Expectation = field(default_factory=lambda: Expectation())


def this_machine(store: ModelStore) -> Machine:
    """Looks at the machine and reads memory for a quarter of a second."""
    there = next(place for place in (store.root, *store.root.parents) if place.exists())
    disk = shutil.disk_usage(there).free
    cores = os.cpu_count() or 1
    if torch.cuda.is_available():
        device = torch.device("cuda")
        total = torch.cuda.get_device_properties(device).total_memory
        free = known_free_bytes(device) or total
        name = torch.cuda.get_device_name(device)
        return Machine(name, True, total, free, disk, cores, _read_rate(device), read_measured())
    free = known_free_bytes(torch.device("cpu")) or 0
    total = _total_memory() or free
    rate = _read_rate(torch.device("cpu"))
    return Machine(f"processor, {cores} cores", False, total, free, disk, cores, rate, read_measured())


def advise(entry: Entry, machine: Machine, store: ModelStore) -> Advice:
    """What `machine` can expect of a model of the catalogue."""
    record = next((record for record in store.models() if record.address.endswith(entry.huggingface)), None)
    if entry.shipped:
        expects = _tried(Expectation(), entry.name, machine)
        return Advice(entry.name, "ready", "It is here, and runs on any machine.", expects=expects)
    shape = known_shapes().get(entry.shape)
    if shape is None:
        return Advice(entry.name, "unknown", "How much memory it needs is not known.", download_bytes=entry.n_bytes)
    config = parse_config(_without_voice(shape) if not entry.speaks else shape, CATALOGUE.name)
    device = CARD if machine.is_card else Device(has_host=False, reserve_bytes=CPU_RESERVE_BYTES)
    settings = Settings(context=4096, bits=entry.default_bits or 4)
    spec_of = None if entry.default_bits else PUBLISHED_INT4.spec_of
    plan = fit_plan(config, settings, machine.free_bytes, device=device, spec_of=spec_of)
    result_bytes = sum(row.card_bytes + row.host_bytes for row in plan.rows if row.name in set(Component))
    disk_bytes = result_bytes if entry.default_bits else entry.n_bytes
    largest_file = min(entry.n_bytes, 5 * GB)
    need = disk_bytes + (largest_file if entry.default_bits else 0) + SPARE_DISK_BYTES
    expects = expected(entry, config, plan, machine)
    if record is not None:
        expects = _tried(expects, record.name, machine)
    facts: dict[str, Any] = {
        "bits": entry.default_bits, "download_bytes": entry.n_bytes, "disk_bytes": disk_bytes,
        "memory_bytes": plan.card_bytes, "expects": expects,
    }  # fmt: skip
    whose = "of the card's" if machine.is_card else "of"
    memory = f"{plan.card_bytes / GB:.1f} GB {whose} memory; {machine.free_bytes / GB:.1f} GB are free"
    if not plan.fits and plan.card_bytes > 0.95 * machine.memory_bytes:
        return Advice(entry.name, "does not fit", f"It needs at least {memory}.", **facts)
    if need > machine.disk_bytes and record is None:
        why = f"It needs {need / GB:.0f} GB of disk while it comes; {machine.disk_bytes / GB:.0f} GB are free."
        return Advice(entry.name, "does not fit", why, **facts)
    if not plan.fits:
        close = f"close other programs until {plan.card_bytes / GB:.1f} GB are free"
        return Advice(entry.name, "fits with settings", f"It needs {memory}.", (*plan.advice, close), **facts)
    if plan.advice:
        return Advice(entry.name, "fits with settings", f"It needs {memory}.", plan.advice, **facts)
    return Advice(entry.name, "fits", f"It needs {memory}.", **facts)


def default_choice(advice: tuple[Advice, ...]) -> str:
    """The first that fits as it is and says what it costs; else what is here already."""
    for item in advice:
        if item.verdict == "fits":
            return item.name
    return next((item.name for item in advice if item.verdict == "ready"), "")


def expected(entry: Entry, config: ModelConfig, plan: Plan, machine: Machine) -> Expectation:
    """Derived from the products that `bench machine` timed where that speaks of this model, else from bytes."""
    speed = machine.measured.speed
    if speed is None or machine.is_card or (entry.shape, entry.default_bits) != (BENCH_SHAPE, BENCH_BITS):
        known = 0.0 if speed is None or machine.is_card else speed.read_bytes_per_s  # now it may be at work
        sound_s, factor = at_best(config, plan, max(machine.read_bytes_per_s, known))
        return Expectation(sound_s, AT_BEST, factor, AT_BEST if factor is not None else "")
    how = f"derived from the speed that “bench machine” measured here on {machine.measured.speed_day}"
    if config.talker is None:
        return Expectation(END_OF_TURN_S + speed.first_word_s, how)
    return Expectation(END_OF_TURN_S + speed.first_sound_s, how, speed.real_time_factor, how)


def _tried(expects: Expectation, name: str, machine: Machine) -> Expectation:
    """With what `bench latency` measured of this very model, if it has run."""
    found = machine.measured.first_sounds.get(name)
    if found is None:
        return expects
    how = f"measured here on {found.day}, the middle of {found.n_replies} replies"
    return replace(expects, first_sound_s=found.seconds, first_sound_is=how)


def _short(value: float) -> str:
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def at_best(config: ModelConfig, plan: Plan, bytes_per_s: float) -> tuple[float, float | None]:
    """Seconds from the user's last word to the first sound (or word), and seconds of work per second of speech.

    Every expert of the Thinker is read once for the end of the question; then a token reads its own experts.
    """
    rows = {row.name: row for row in plan.rows}

    def read_s(*parts: Component) -> float:
        """What is kept in the PC's memory comes over the card's link."""
        found = [rows[str(part)] for part in parts if str(part) in rows]
        return sum(row.card_bytes / bytes_per_s + row.host_bytes / HOST_LINK_BYTES_PER_S for row in found)

    text = config.thinker.text
    thinker = read_s(Component.THINKER_ATTENTION, Component.THINKER_DENSE, Component.THINKER_HEAD, Component.SMALL)
    experts = read_s(Component.THINKER_EXPERTS)
    token = thinker + experts * text.num_experts_per_tok / max(text.num_experts, 1)
    prefill = thinker + experts + read_s(Component.AUDIO_ENCODER)
    if config.talker is None:
        return END_OF_TURN_S + prefill + token, None
    talker = config.talker.text
    frame = read_s(Component.TALKER_ATTENTION, Component.TALKER_SHARED, Component.TALKER_CODES, Component.CODE2WAV)
    frame += read_s(Component.TALKER_EXPERTS) * talker.num_experts_per_tok / max(talker.num_experts, 1)
    layers = config.talker.code_predictor
    per_layer = 2 * (layers.hidden_size * (sum(layers.qkv_sizes) + layers.qkv_sizes[0] + 3 * layers.intermediate_size))
    steps = config.talker.num_code_groups - 1
    a_step = per_layer * layers.num_hidden_layers + 2 * layers.vocab_size * layers.hidden_size
    frame += steps * a_step / bytes_per_s
    return END_OF_TURN_S + prefill + token + frame, frame / FRAME_S + token * TOKENS_PER_S_OF_SPEECH


def known_shapes() -> dict[str, dict[str, Any]]:
    """Configs by name, as far as they differ from the defaults of the format."""
    shapes: dict[str, dict[str, Any]] = json.loads(CATALOGUE.read_text("utf-8"))["shapes"]
    return shapes


def _without_voice(shape: dict[str, Any]) -> dict[str, Any]:
    return shape | {"enable_audio_output": False}


def _read_rate(device: torch.device) -> float:
    """Bytes a second of the device's memory, the best of some reads that together take about a quarter of a second."""
    best = 0.0
    if device.type == "cuda":
        source = torch.zeros(PROBE_BYTES, dtype=torch.uint8, device=device)
        target = torch.empty_like(source)
        for _ in range(5):
            torch.cuda.synchronize()
            started_s = time.perf_counter()
            target.copy_(source)
            torch.cuda.synchronize()
            best = max(best, 2 * PROBE_BYTES / (time.perf_counter() - started_s))
        return best
    numbers = torch.ones(PROBE_BYTES // 4)
    until_s = time.perf_counter() + 0.25
    while time.perf_counter() < until_s:
        started_s = time.perf_counter()
        numbers.sum()
        best = max(best, PROBE_BYTES / (time.perf_counter() - started_s))
    return best


def _total_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
