"""Errors of the model package; every message says what was given, what was expected and what to do."""

from __future__ import annotations


class ModelError(Exception):
    """Base class of the errors that the model package raises on purpose."""


class ConfigError(ModelError, ValueError):
    """A config.json that is missing, malformed, inconsistent or of a model this package does not run."""


class CheckpointError(ModelError, ValueError):
    """A checkpoint whose tensors do not match its config one by one."""


class InputError(ModelError, ValueError):
    """Sound, a picture, text or an option that a Session cannot take."""


class OutOfMemoryError(ModelError, ValueError):
    """A model that cannot fit the device, told before loading; the message names the settings that make it fit."""
