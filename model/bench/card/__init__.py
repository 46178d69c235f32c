"""``main.py bench card``: what to measure when a card is at hand, in one command."""
