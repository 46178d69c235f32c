"""Ready-made entries for remote engines: an address to start from, and how it is spoken to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """`url` may hold HOST, RESOURCE or another word in capitals that the user replaces."""

    label: str
    kind: str
    url: str
    model: str = ""
    hint: str = ""


PRESETS: tuple[Preset, ...] = (
    Preset("Found out by itself", "auto", "", "", "Sightline looks at what the engine says first."),
    Preset(
        "Another Sightline",
        "sightline",
        "wss://HOST:8765/v1/realtime",
        hint="Paste the line that “main.py engine” prints there: it holds the address, the token and the fingerprint.",
    ),
    Preset("OpenAI", "openai", "wss://api.openai.com/v1/realtime", "gpt-realtime", "The key begins with sk-."),
    Preset(
        "Azure OpenAI",
        "azure",
        "wss://RESOURCE.openai.azure.com/openai/v1/realtime",
        hint="The model is the name of your deployment.",
    ),
    Preset(
        "DashScope (international)",
        "dashscope",
        "wss://dashscope-intl.aliyuncs.com/api-ws/v1/realtime",
        "qwen3.5-omni-flash-realtime",
        "Qwen's hosted models; the key is one of Model Studio.",
    ),
    Preset(
        "DashScope (mainland China)",
        "dashscope",
        "wss://dashscope.aliyuncs.com/api-ws/v1/realtime",
        "qwen3.5-omni-flash-realtime",
        "Qwen's hosted models; the key is one of Model Studio.",
    ),
    Preset("vLLM-Omni", "vllm-duplex", "ws://HOST:8091/v1/realtime", "Qwen/Qwen3-Omni-30B-A3B-Instruct"),
    Preset("vLLM-Omni, one turn at a time", "vllm", "ws://HOST:8091/v1/realtime", "Qwen/Qwen3-Omni-30B-A3B-Instruct"),
    Preset("sglang-omni", "sglang-omni", "ws://HOST:8000/v1/realtime"),
    Preset("speech-to-speech", "speech-to-speech", "ws://127.0.0.1:8765/v1/realtime"),
    Preset(
        "llama.cpp with a small omni model",
        "llama.cpp",
        "ws://127.0.0.1:8080/v1/realtime",
        hint="“llama serve” on this machine, with LFM3-Omni-2B for example. Not tried with Sightline.",
    ),
    Preset("Another server with OpenAI's events", "ga", "wss://HOST/v1/realtime"),
    Preset("Another server with OpenAI's older events", "older", "wss://HOST/v1/realtime"),
)


def preset_of(kind: str, url: str) -> Preset:
    """The entry that these settings came from, or the first."""
    fitting = [preset for preset in PRESETS if preset.kind == kind]
    host = url.split("/")[2] if url.count("/") >= 2 else ""
    return next((preset for preset in fitting if host and host in preset.url), (*fitting, PRESETS[0])[0])
