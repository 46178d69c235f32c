"""What the engine may have done for the user: one tool a file, one registry (`toolbox.py`), and MCP servers.

To add one: a module with a `Tool`, and its name in `built_in.py`.
"""
