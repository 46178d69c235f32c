"""An MCP server of the `mcp` package: over stdio, or, with a port, over HTTP."""

from __future__ import annotations

import os
import sys

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("shop")


@server.tool()
def price(article: str, count: int = 1) -> str:
    """What an article costs."""
    if article == "moon":
        raise ToolError("The moon is not for sale.")
    return f"{count} x {article}: {count * 3} euros"


@server.tool()
def vanish() -> str:
    """Ends the server."""
    os._exit(3)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]), host="127.0.0.1")
    else:
        server.run("stdio")
