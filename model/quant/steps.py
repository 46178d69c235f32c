"""How a decoder takes one position on a processor, chosen once after loading."""

from __future__ import annotations

from model.network.decoder import Decoder
from model.quant.storage import has_compiler


def choose_step(decoder: Decoder) -> None:
    """Gives a decoder of packed weights its compiled step, where every product of it is one of the processor's."""
    if not has_compiler():
        return
    from model.quant.processor.decoder import DecoderStep
    from model.quant.processor.storage import InterleavedLinear

    first = decoder.layers[0].get_submodule("self_attn.qkv")
    if isinstance(first, InterleavedLinear) and DecoderStep.suits(decoder):
        decoder.step = DecoderStep(decoder, first.team)
