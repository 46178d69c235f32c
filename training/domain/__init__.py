"""The closed domain of flash-mini: what can be asked, in which words, and what the answer is."""
