"""A small MCP client over Streamable HTTP for every revision, on the standard library.

It does nothing clever on purpose: what it sends is what the test says, and every byte it gets is
kept for the search at the end of the run.
"""

import base64
import http.client
import itertools
import json
import queue
import threading
import urllib.parse

from kit import capture

MODERN = "2026-07-28"
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26")
META = "io.modelcontextprotocol/"
_ids = itertools.count(1)


class Reply:
    """A whole HTTP answer and the JSON-RPC messages in it, in order of arrival."""

    def __init__(self, status, headers, body: bytes):
        self.status = status
        self.headers = headers  # list of (name, value)
        self.body = body
        self.messages = list(parse(self.header("content-type") or "", body))

    def header(self, name):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return None

    @property
    def answer(self) -> dict:
        """The response (result or error) among the messages."""
        answers = [m for m in self.messages if isinstance(m, dict) and ("result" in m or "error" in m)]
        assert len(answers) == 1, f"HTTP {self.status}: {self.body[:2000]!r}"
        return answers[0]

    @property
    def result(self) -> dict:
        answer = self.answer
        assert "result" in answer, f"HTTP {self.status}: {json.dumps(answer)[:2000]}"
        return answer["result"]

    @property
    def error(self) -> dict:
        answer = self.answer
        assert "error" in answer, f"HTTP {self.status}: {json.dumps(answer)[:2000]}"
        return answer["error"]

    @property
    def notifications(self) -> list[dict]:
        return [m for m in self.messages if isinstance(m, dict) and "method" in m and "id" not in m]

    @property
    def gateway(self) -> dict:
        """What the gateway says about its decision: beside the content, or in _meta where the tool's own
        outputSchema leaves no room for it."""
        return note(self.result)

    def text(self, index=0) -> str:
        return self.result["content"][index]["text"]

    def __repr__(self):
        return f"<HTTP {self.status} {self.body[:1500]!r}>"


def note(result: dict) -> dict:
    """The gateway's note in a tool result."""
    found = (result.get("structuredContent") or {}).get("gateway") or result.get("_meta", {}).get("sallyport/gateway")
    assert found, f"no decision in {json.dumps(result)[:1500]}"
    return found


def parse(content_type: str, body: bytes):
    if content_type.startswith("text/event-stream"):
        for event in sse_events(body):
            if event.get("data"):
                yield json.loads(event["data"])
    elif body and "json" in content_type:
        value = json.loads(body)
        if isinstance(value, list):
            yield from value
        else:
            yield value


def sse_events(body: bytes):
    """The events of a finished stream: {"event","id","data","retry"}."""
    for block in body.decode("utf-8").replace("\r\n", "\n").split("\n\n"):
        event = {}
        for line in block.split("\n"):
            if not line or line.startswith(":"):
                continue
            field, _, value = line.partition(":")
            value = value[1:] if value.startswith(" ") else value
            if field == "data" and "data" in event:
                event["data"] += "\n" + value
            else:
                event[field] = value
        if event:
            yield event


def encode_header(value: str) -> str:
    """A header value by the revision's rule: as it is, or in the base64 sentinel."""
    plain = all(" " <= c <= "~" for c in value) and value == value.strip() and not value.startswith("=?base64?")
    return value if plain else "=?base64?" + base64.b64encode(value.encode()).decode() + "?="


class Mcp:
    """A caller at one endpoint. `version` chooses the era."""

    def __init__(self, url, token=None, version=MODERN, capabilities=None, timeout=20):
        self.url = urllib.parse.urlsplit(url)
        self.token = token
        self.version = version
        self.capabilities = {} if capabilities is None else capabilities
        self.timeout = timeout
        self.session = None
        self.negotiated = None
        self.instructions = None
        self.log_level = None  # modern: asks for log messages with each request

    @property
    def modern(self) -> bool:
        return self.version >= MODERN

    # -- HTTP ------------------------------------------------------------------------------------
    def headers(self, body=None, extra=None) -> dict:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.modern:
            headers["MCP-Protocol-Version"] = self.version
            if isinstance(body, dict) and "method" in body:
                headers["Mcp-Method"] = body["method"]
                params = body.get("params") or {}
                named = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri",
                         "tasks/get": "taskId", "tasks/update": "taskId", "tasks/cancel": "taskId"}
                key = named.get(body["method"])
                if key and isinstance(params.get(key), str):
                    headers["Mcp-Name"] = encode_header(params[key])
        else:
            if self.session:
                headers["Mcp-Session-Id"] = self.session
            if self.negotiated and self.negotiated != "2025-03-26":
                headers["MCP-Protocol-Version"] = self.negotiated
        for name, value in (extra or {}).items():
            if value is None:
                headers.pop(name, None)
            else:
                headers[name] = value
        return headers

    def open(self, method, body: bytes | None, headers: dict):
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=self.timeout)
        path = self.url.path + (f"?{self.url.query}" if self.url.query else "")
        connection.request(method, path, body=body, headers=headers)
        connection.socket = connection.sock  # http.client forgets it when the answer ends with the connection
        return connection, connection.getresponse()

    def http(self, method, body=None, headers=None) -> Reply:
        """One exchange, read to its end."""
        raw = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        connection, response = self.open(method, raw, headers if headers is not None else self.headers(body))
        try:
            data = response.read()
        finally:
            connection.close()
        capture.received(repr(response.getheaders()))
        capture.received(data)
        return Reply(response.status, response.getheaders(), data)

    # -- JSON-RPC --------------------------------------------------------------------------------
    def message(self, method, params=None, id=None, meta=None, progress_token=None) -> dict:
        params = dict(params or {})
        metadata = dict(params.get("_meta", {}))
        if self.modern:
            metadata.setdefault(META + "protocolVersion", self.version)
            metadata.setdefault(META + "clientCapabilities", self.capabilities)
            metadata.setdefault(META + "clientInfo", {"name": "sallyport-tests", "version": "1"})
            if self.log_level:
                metadata.setdefault(META + "logLevel", self.log_level)
        if progress_token is not None:
            metadata["progressToken"] = progress_token
        metadata.update(meta or {})
        if metadata:
            params["_meta"] = metadata
        message = {"jsonrpc": "2.0", "id": next(_ids) if id is None else id, "method": method}
        if params:
            message["params"] = params
        return message

    def request(self, method, params=None, headers=None, **how) -> Reply:
        body = self.message(method, params, **how)
        return self.http("POST", body, self.headers(body, headers))

    def notify(self, method, params=None) -> Reply:
        body = self.message(method, params)
        del body["id"]
        return self.http("POST", body, self.headers(body))

    def call(self, tool, arguments=None, headers=None, **how) -> Reply:
        params = {"name": tool, "arguments": arguments or {}}
        params.update(how.pop("params", {}))
        return self.request("tools/call", params, headers, **how)

    def patient_call(self, tool, arguments=None, most: int = 10) -> "Reply":
        """A call by a client of 2026-07-28 that asks again with each requestState that comes without a question."""
        reply = self.call(tool, arguments)
        for _ in range(most):
            result = reply.answer.get("result", {})
            if result.get("resultType") != "input_required" or result.get("inputRequests"):
                return reply
            reply = self.call(tool, arguments, params={"requestState": result["requestState"]})
        raise AssertionError("no end of input_required")

    def tools(self) -> list[dict]:
        """All pages of tools/list."""
        found, cursor = [], None
        while True:
            result = self.request("tools/list", {"cursor": cursor} if cursor else {}).result
            found += result["tools"]
            cursor = result.get("nextCursor")
            if not cursor:
                return found

    def tool_names(self) -> list[str]:
        return [tool["name"] for tool in self.tools()]

    # -- legacy ----------------------------------------------------------------------------------
    def start(self) -> "Mcp":
        """Opens a session (legacy) or reads server/discover (modern)."""
        if self.modern:
            self.instructions = self.request("server/discover").result.get("instructions")
            return self
        reply = self.request("initialize", {
            "protocolVersion": self.version,
            "capabilities": self.capabilities,
            "clientInfo": {"name": "sallyport-tests", "version": "1"},
        })
        result = reply.result
        self.negotiated = result["protocolVersion"]
        self.instructions = result.get("instructions")
        self.session = reply.header("mcp-session-id")
        accepted = self.notify("notifications/initialized")
        assert accepted.status == 202, accepted
        return self

    def close(self) -> Reply | None:
        return self.http("DELETE", None, self.headers()) if self.session else None

    # -- streams ---------------------------------------------------------------------------------
    def stream(self, method, params=None, http_method="POST", headers=None, **how) -> "Stream":
        """Sends and reads message by message; for what has to be seen while it happens."""
        body = self.message(method, params, **how) if http_method == "POST" else None
        raw = json.dumps(body).encode() if body is not None else None
        connection, response = self.open(http_method, raw, self.headers(body, headers))
        return Stream(connection, response, body["id"] if body else None)

    def get(self, last_event_id=None) -> "Stream":
        extra = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            extra["Last-Event-ID"] = last_event_id
        return self.stream(None, http_method="GET", headers=extra)


class Stream:
    """An answer that is still being written. `next` waits for a message; `events` keeps the SSE events."""

    def __init__(self, connection, response, id):
        self.connection = connection
        self.response = response
        self.status = response.status
        self.id = id
        self.events = []
        self.ended = threading.Event()
        self._messages = queue.Queue()
        self._sse = (response.getheader("content-type") or "").startswith("text/event-stream")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        kept = b""
        try:
            if not self._sse:
                kept = self.response.read()
                for message in parse(self.response.getheader("content-type") or "", kept):
                    self._messages.put(message)
                return
            pending = b""
            while True:
                data = self.response.read1(65536)
                if not data:
                    break
                kept += data
                pending = (pending + data).replace(b"\r\n", b"\n")
                while b"\n\n" in pending:
                    block, pending = pending.split(b"\n\n", 1)
                    for event in sse_events(block):
                        self.events.append(event)
                        if event.get("data"):
                            self._messages.put(json.loads(event["data"]))
        except (OSError, http.client.HTTPException, ValueError):
            pass
        finally:
            capture.received(kept)
            self._messages.put(None)
            self.ended.set()

    def next(self, timeout=10) -> dict | None:
        """The next message; None at the end of the stream; raises queue.Empty after `timeout`."""
        return self._messages.get(timeout=timeout)

    def until(self, check, timeout=10) -> dict:
        """Reads on to the first message that satisfies `check`."""
        while True:
            message = self.next(timeout)
            assert message is not None, "the stream ended first"
            if check(message):
                return message

    def answer(self, timeout=15) -> dict:
        return self.until(lambda m: m.get("id") == self.id and ("result" in m or "error" in m), timeout)

    def close(self):
        """Goes away as a client does that has lost interest."""
        try:
            self.connection.socket.shutdown(2)
        except OSError:
            pass
        self._thread.join(5)
        self.response.close()
        self.connection.close()
