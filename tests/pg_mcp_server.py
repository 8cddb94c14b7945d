"""An MCP server over stdio whose only tool asks PostgreSQL through the gateway, with the trace of the call: as a comment of the
statement, or as the name of its session. Everything it is told comes by environment variables."""

import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from kit.pgwire import Where, Wire  # noqa: E402


def ask(arguments: dict, trace: str) -> str:
    where = Where(int(os.environ["PG_PORT"]), "token", pathlib.Path(os.environ["PG_TOKEN_FILE"]).read_text(), "shop", keep=False)
    by_name = arguments.get("how") == "name"
    if by_name:
        where = where.but(startup={"application_name": f"traceparent={trace}"})
    with Wire(where) as wire:
        statement = "SELECT name FROM customers WHERE id = 1"
        return wire.rows(statement if by_name else f"{statement} /*traceparent='{trace}'*/")[0][0]


def answer(message: dict) -> dict:
    method, params = message["method"], message.get("params", {})
    if method == "initialize":
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": {"name": "pg", "version": "1"}}
    if method == "tools/list":
        return {"tools": [{"name": "customer", "inputSchema": {"type": "object"}}]}
    if method == "tools/call":
        trace = params["_meta"]["traceparent"]
        said = {"name": ask(params.get("arguments", {}), trace), "trace": trace}
        return {"content": [{"type": "text", "text": json.dumps(said)}]}
    return {}


for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    if asked["method"] == "server/discover":
        reply = {"error": {"code": -32601, "message": "Method not found"}}
    else:
        try:
            reply = {"result": answer(asked)}
        except Exception as error:  # the test sees it as the tool's error
            reply = {"result": {"isError": True, "content": [{"type": "text", "text": repr(error)}]}}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **reply}), flush=True)
