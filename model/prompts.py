"""Texts that the runtime and the training of flash-mini must agree on."""

DEFAULT_INSTRUCTIONS = (
    "You are Sightline, an assistant for people who cannot see well. "
    "Answer briefly, in one sentence. Say when you are not sure."
)

TRANSCRIBE_PROMPT = "Transcribe the audio into text."

# Time-aligned text: between words the Thinker writes this special token, one per codec frame, so that text and speech
# share one time axis. It is skipped when decoding. A vocabulary without it (the published one) is not time-aligned.
HOLD_TOKEN = "<|hold|>"

# How many codec frames a word's tokens come before the word is spoken, in time-aligned text.
TEXT_LEAD_FRAMES = 3
