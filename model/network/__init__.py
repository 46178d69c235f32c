"""The modules of the model and what they keep between steps: weights and caches, no conversation."""
