"""What each kind of Realtime server calls things, takes and cannot do: one file each, and nowhere else.

To add one: a module with a subclass of `base.Dialect`, a row in `registry.py`, and a fixture in tests/app/dialects.
"""
