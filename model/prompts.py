"""Texts that the runtime and the training of flash-mini must agree on."""

DEFAULT_INSTRUCTIONS = (
    "You are Sightline, an assistant for people who cannot see well. "
    "Answer briefly, in one sentence. Say when you are not sure."
)

TRANSCRIBE_PROMPT = "Transcribe the audio into text."
