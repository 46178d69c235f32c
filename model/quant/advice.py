"""What would make a model fit: settings that save memory, cheapest first, and the refusal that names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from model.checkpoint.config import ModelConfig
from model.errors import OutOfMemoryError
from model.quant.parts import Component
from model.quant.plan import CUDA_RESERVE_BYTES, GB, Plan, Settings, SpecOf, census_of, make_plan

# What a PCIe 4.0 x16 slot moves in practice; only used to say what experts in host memory cost per token.
HOST_LINK_BYTES_PER_S = 25 * GB
SMALLEST_CONTEXT = 2048
PlanOf = Callable[[Settings], Plan]


@dataclass(frozen=True)
class Device:
    """Where the model is to run. ``has_host``: host memory is apart from the device's (a card)."""

    has_host: bool = True
    reserve_bytes: int = CUDA_RESERVE_BYTES


CARD = Device()


def fit_plan(
    config: ModelConfig, settings: Settings, limit_bytes: int, *, device: Device = CARD, spec_of: SpecOf | None = None
) -> Plan:
    """The given plan when it fits; else the one with the fewest and cheapest changes, named in ``advice``.

    ``spec_of``: the weights are packed already, so that their storage cannot be chosen any more.
    """

    census = census_of(config)

    def plan_of(changed: Settings) -> Plan:
        reserve = device.reserve_bytes
        return make_plan(config, changed, limit_bytes, spec_of=spec_of, reserve_bytes=reserve, census=census)

    plan = plan_of(settings)
    steps: list[tuple[str, dict[str, Any]]] = []
    for change, reason in _changes(plan_of, config, settings, device, can_pack=spec_of is None):
        if plan.fits:
            break
        if steps and steps[-1][1].keys() == change.keys():
            steps.pop()  # more of the same: a still shorter context
        steps.append((reason, change))
        plan = plan_of(_with(settings, steps))
    last: list[str] = []
    if not plan.fits and device.has_host:
        plan, line = _experts_to_host(plan_of, config, plan)
        last = [line]
    elif plan.fits:
        for step in list(steps):  # what a later step has made needless
            others = [other for other in steps if other is not step]
            if plan_of(_with(settings, others)).fits:
                steps = others
        plan = plan_of(_with(settings, steps))
    advice = []
    for number, (reason, _) in enumerate(steps):
        before, after = (plan_of(_with(settings, steps[:end])).card_bytes for end in (number, number + 1))
        advice.append(f"{reason}: saves {(before - after) / GB:.2f} GB")
    return replace(plan, advice=(*advice, *last))


def _with(settings: Settings, steps: list[tuple[str, dict[str, Any]]]) -> Settings:
    for _, change in steps:
        settings = replace(settings, **change)
    return settings


def _changes(
    plan_of: PlanOf, config: ModelConfig, settings: Settings, device: Device, *, can_pack: bool
) -> Iterator[tuple[dict[str, Any], str]]:
    """Settings that save memory, cheapest first, each on top of the ones before."""
    if can_pack and settings.bits > 8:
        yield {"bits": 8, "encoder_bits": 8}, "weights in int8"
    elif can_pack and settings.encoder_bits > 8:
        yield {"encoder_bits": 8}, "encoders in int8"
    if can_pack and settings.bits > 4:
        yield {"bits": 4, "encoder_bits": 8}, "weights in int4"
    changed = settings
    if can_pack:
        changed = replace(changed, bits=4, encoder_bits=8)
    if device.has_host and not settings.embedding_on_host:
        changed = replace(changed, embedding_on_host=True)
        row_bytes = config.thinker.text.hidden_size * settings.float_bytes
        yield {"embedding_on_host": True}, f"embedding table in host memory (moves at most {row_bytes} bytes per token)"
    if settings.cache_bits > 8:
        changed = replace(changed, cache_bits=8)
        yield {"cache_bits": 8}, "int8 caches"
    if device.has_host and not plan_of(replace(changed, context=SMALLEST_CONTEXT)).fits:
        return  # experts must leave the card anyway, and then a short memory of the conversation saves next to nothing
    context = settings.context
    while context > SMALLEST_CONTEXT:
        context = max(SMALLEST_CONTEXT, context // 2)
        yield {"context": context}, f"shorter context ({context} positions)"


def _experts_to_host(plan_of: PlanOf, config: ModelConfig, plan: Plan) -> tuple[Plan, str]:
    text = config.thinker.text
    sparse = [layer for layer in range(text.num_hidden_layers) if text.is_sparse(layer)]
    experts_row = next((row for row in plan.rows if row.name == Component.THINKER_EXPERTS), None)
    if experts_row is None or not experts_row.card_bytes:
        return plan, "this device cannot hold the model"
    layer_bytes = (experts_row.card_bytes + experts_row.host_bytes) // len(sparse)
    n_there = sum(1 for layer in sparse if layer < plan.settings.host_expert_layers)
    n_moved = min(len(sparse), n_there - (-(plan.card_bytes - plan.limit_bytes) // layer_bytes))
    plan = plan_of(replace(plan.settings, host_expert_layers=sparse[n_moved - 1] + 1))
    experts_row = next(row for row in plan.rows if row.name == Component.THINKER_EXPERTS)
    bytes_per_token = experts_row.host_bytes * text.num_experts_per_tok // max(text.num_experts, 1)
    line = (
        f"experts of the first {plan.settings.host_expert_layers} of {text.num_hidden_layers} Thinker layers in host "
        f"memory: {experts_row.host_bytes / GB:.2f} GB there; a token reads {bytes_per_token / 10**6:.0f} MB of it, "
        f"{bytes_per_token / HOST_LINK_BYTES_PER_S * 1000:.1f} ms at {HOST_LINK_BYTES_PER_S / GB:.0f} GB/s (derived)"
    )
    return plan, line if plan.fits else line + "; the rest of the model still does not fit"


HOW_TO_GIVE = (
    "The window and `converse` take int8 or int4 only: for the others, start `main.py engine` by itself with these and "
    "give its address."
)


def refusal(given: Plan, fitting: Plan) -> OutOfMemoryError:
    """The error for a plan that does not fit, with the settings of one that does."""
    need, there = given.card_bytes / GB, given.limit_bytes / GB
    largest = sorted(given.rows, key=lambda row: -row.card_bytes)[:3]
    parts = ", ".join(f"{row.name} {row.card_bytes / GB:.2f}" for row in largest)
    says = (
        f"the model needs {need:.2f} GB with {given.settings.context} positions ({parts}, ...), {there:.2f} GB are free"
    )
    if not fitting.fits:
        least = fitting.card_bytes / GB
        return OutOfMemoryError(f"{says}; with every setting that saves memory it still needs {least:.2f} GB")
    return OutOfMemoryError(f"{says}; it fits with {_options(given.settings, fitting.settings)}. {HOW_TO_GIVE}")


def _options(given: Settings, fitting: Settings) -> str:
    """The changed settings, as options of the engine and as arguments of ``model.load``."""
    options, arguments, memory = [], [], []
    if fitting.bits != given.bits:
        options.append(f"--quantize int{fitting.bits}")
        arguments.append(f'quantize="int{fitting.bits}"')
    if fitting.context != given.context:
        options.append(f"--positions {fitting.context}")
        memory.append(f"positions={fitting.context}")
    if fitting.cache_bits != given.cache_bits:
        options.append(f"--cache-bits {fitting.cache_bits}")
        memory.append(f"cache_bits={fitting.cache_bits}")
    if fitting.embedding_on_host != given.embedding_on_host:
        options.append("--embedding-on-host")
        memory.append("embedding_on_host=True")
    if fitting.host_expert_layers != given.host_expert_layers:
        options.append(f"--host-expert-layers {fitting.host_expert_layers}")
        memory.append(f"host_expert_layers={fitting.host_expert_layers}")
    if memory:
        arguments.append(f"memory=Memory({', '.join(memory)})")
    return f"{' '.join(options)} (model.load: {', '.join(arguments)})"
