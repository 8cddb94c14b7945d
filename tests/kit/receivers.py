"""Receivers of exports on loopback, real in what they demand: a syslog collector (RFC 5425 framing, read by its own rules), and
doubles of Splunk's event collector, of an OTLP collector and of a webhook. Each keeps what it took, and fails as it is told to."""

import base64
import gzip
import http.server
import importlib
import json
import re
import socket
import ssl
import struct
import threading
import time
import uuid

SYSLOG = re.compile(rb"<(\d{1,3})>1 (-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) ([\x21-\x7e]{1,255}) ([\x21-\x7e]{1,48}) ([\x21-\x7e]{1,128})"
                    rb" ([\x21-\x7e]{1,32}) \[meta sequenceId=\"(\d+)\"\] (.*)", re.S)


class SyslogReceiver:
    """Takes octet-counted messages over TCP or TLS. `cut_every`: breaks the connection after so many messages, with a reset and
    whatever was not read; `pace`: seconds that one message takes."""

    def __init__(self, tls: tuple | None = None, port: int = 0):
        self.messages: list[bytes] = []  # in the order of arrival, all connections
        self.problems: list[str] = []
        self.connections = 0
        self.cut_every = 0
        self.cuts = 0
        self.pace = 0.0
        self._context = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*map(str, tls))
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self._open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while self._open:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            self.connections += 1
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain):
        try:
            stream = self._context.wrap_socket(plain, server_side=True) if self._context else plain
        except (ssl.SSLError, OSError) as e:
            self.problems.append(f"handshake: {e}")
            return
        taken, buffer = 0, b""
        try:
            while True:
                part = stream.recv(4096)
                if not part:
                    break
                buffer += part
                while True:
                    head = re.match(rb"([1-9]\d{0,6}) ", buffer)
                    if not head:
                        if len(buffer) > 8:
                            self.problems.append(f"no octet count: {buffer[:40]!r}")
                            return
                        break
                    size = int(head.group(1))
                    if len(buffer) < head.end() + size:
                        break
                    message, buffer = buffer[head.end():head.end() + size], buffer[head.end() + size:]
                    if not SYSLOG.fullmatch(message):
                        self.problems.append(f"not RFC 5424: {message[:200]!r}")
                    self.messages.append(message)
                    taken += 1
                    if self.pace:
                        time.sleep(self.pace)
                    if self.cut_every and taken >= self.cut_every:
                        self.cuts += 1
                        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
        except OSError:
            pass
        finally:
            stream.close()

    def texts(self) -> list[str]:
        return [SYSLOG.fullmatch(m).group(8).decode() for m in list(self.messages) if SYSLOG.fullmatch(m)]

    def stop(self):
        self._open = False
        self._listener.close()


class HttpReceiver:
    """What the HTTP receivers have in common. `fail`: a function of the number of the request that says how it goes wrong, or None:
    a status, "drop" (says 200 and forgets), "cut" (reads and hangs up), "cut-after" (takes it and hangs up), "slow"."""

    def __init__(self, port: int = 0):
        self.lock = threading.Lock()
        self.requests = 0
        self.problems: list[str] = []
        self.events: list = []  # in the order of arrival
        self.fail = lambda n: None
        self.delay = 1.0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                with outer.lock:
                    outer.requests += 1
                    how = outer.fail(outer.requests) if outer.counts(self.path) else None
                if how == "slow":
                    time.sleep(outer.delay)
                if how == "cut":
                    return self.hang_up()
                if isinstance(how, int):
                    return self.answer(how, b'{"code":9,"text":"Server is busy"}')
                with outer.lock:
                    status, said = outer.take(self.path, self.headers, body, how == "drop")
                if how == "cut-after":
                    return self.hang_up()
                self.answer(status, said)

            def hang_up(self):
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

            def answer(self, status, body):
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(body)

            def handle(self):
                try:
                    super().handle()
                except (OSError, ValueError):
                    pass

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 64

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def counts(self, path) -> bool:
        return True

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def json_objects(text: str) -> list:
    """JSON objects that follow one another, as the event collector reads them."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text):
        value, end = decoder.raw_decode(text, at)
        found.append(value)
        at = end
        while at < len(text) and text[at] in " \r\n\t":
            at += 1
    return found


class HecDouble(HttpReceiver):
    """Stands for Splunk's HTTP Event Collector with indexer acknowledgement: tokens, channels that are GUIDs, ackIds of a channel, a
    true that is said once. `lag`: acknowledgement requests until something is indexed; `poison`: events with this text are code 6."""

    def __init__(self, token: str, acknowledges: bool = True, port: int = 0):
        self.token, self.acknowledges = token, acknowledges
        self.lag, self.poison = 1, None
        self.channels: dict[str, dict] = {}
        self.waiting: list = []  # [polls left, channel, ackId, events]
        super().__init__(port)

    def counts(self, path):
        return path.startswith("/services/collector/event")

    @staticmethod
    def say(status, code, text, **more):
        return status, json.dumps({"text": text, "code": code, **more}).encode()

    def take(self, path, headers, body, drop):
        if headers.get("authorization") != f"Splunk {self.token}":
            return self.say(403, 4, "Invalid token")
        channel = headers.get("x-splunk-request-channel", "")
        try:
            assert str(uuid.UUID(channel)) == channel.lower()
        except (ValueError, AssertionError):
            return self.say(400, 11, "Invalid data channel")
        state = self.channels.setdefault(channel, {"next": 0, "done": set()})
        if path == "/services/collector/ack":
            return self.acks(channel, state, body)
        if path != "/services/collector/event":
            return 404, b"{}"
        try:
            events = json_objects(body.decode())
            for e in events:
                if not (set(e) <= {"time", "host", "source", "sourcetype", "index", "event", "fields"} and e.get("event")):
                    self.problems.append(f"not an event: {e}")
                    return self.say(400, 12, "Event field is required")
        except ValueError as e:
            self.problems.append(f"not JSON: {e}")
            return self.say(400, 6, "Invalid data format")
        if self.poison and self.poison in body.decode():
            return self.say(400, 6, "Invalid data format", **{"invalid-event-number": 0})
        if not self.acknowledges:
            if not drop:
                self.events += events
            return self.say(200, 0, "Success")
        ack, state["next"] = state["next"], state["next"] + 1
        if not drop:
            self.waiting.append([self.lag, channel, ack, events])
        return self.say(200, 0, "Success", ackId=ack)

    def acks(self, channel, state, body):
        asked = json.loads(body)["acks"]
        for entry in self.waiting:
            entry[0] -= 1
        for _, where, ack, events in [w for w in self.waiting if w[0] <= 0]:
            self.events += events  # indexed: only now
            self.channels[where]["done"].add(ack)
        self.waiting = [w for w in self.waiting if w[0] > 0]
        answer = {str(a): a in state["done"] for a in asked}
        state["done"] -= set(asked)  # said once
        return 200, json.dumps({"acks": answer}).encode()

    def lose_everything(self):
        """A crash before indexing: what was taken and not acknowledged is gone, and the channels."""
        with self.lock:
            self.waiting, self.channels = [], {}


class OtlpDouble(HttpReceiver):
    """Stands for an OTLP/HTTP collector and is as strict as the protocol: no field that it has not, types as in JSON Protobuf.
    `reject`: text of records that are rejected, all others are taken (partialSuccess)."""

    FIELDS = {"timeUnixNano": "u64", "observedTimeUnixNano": "u64", "severityNumber": int, "severityText": str, "eventName": str,
              "body": dict, "attributes": list, "droppedAttributesCount": int, "flags": int, "traceId": "hex16", "spanId": "hex8"}

    def __init__(self, reject: str | None = None, port: int = 0):
        self.reject = reject
        self.signals: dict[str, list] = {}  # "trace", "metrics": the records of each request
        super().__init__(port)

    def check(self, record):
        for key, value in record.items():
            want = self.FIELDS.get(key)
            if want == "u64":
                assert isinstance(value, str) and value.isdigit() and int(value) < 2**64, (key, value)
            elif want == "hex16":
                assert re.fullmatch("[0-9a-f]{32}", value) and value.strip("0"), value
            elif want == "hex8":
                assert re.fullmatch("[0-9a-f]{16}", value), value
            else:
                assert want is not None and isinstance(value, want), (key, value)
        self.check_attributes(record["attributes"])
        assert list(record["body"]) == ["stringValue"]
        assert 1 <= record.get("severityNumber", 1) <= 24

    @staticmethod
    def check_attributes(attributes):
        keys = []
        for a in attributes:
            assert set(a) == {"key", "value"} and len(a["value"]) == 1, a
            (kind, value), = a["value"].items()
            assert kind in ("stringValue", "boolValue", "intValue", "doubleValue") and (kind != "intValue" or isinstance(value, str)), a
            keys.append(a["key"])
        assert len(keys) == len(set(keys)), keys

    # Of the other signals: path, message of the published protocol, list of resources, of scopes, of records.
    SIGNALS = {"/v1/traces": ("trace", "ExportTraceServiceRequest", "resourceSpans", "scopeSpans", "spans"),
               "/v1/metrics": ("metrics", "ExportMetricsServiceRequest", "resourceMetrics", "scopeMetrics", "metrics")}

    def take_signal(self, path, headers, body):
        """Read with OpenTelemetry's own protocol definitions: a field or type that they do not have is an error."""
        from google.protobuf import json_format
        package, message, resources, scopes, records = self.SIGNALS[path]
        module = importlib.import_module(f"opentelemetry.proto.collector.{package}.v1.{package}_service_pb2")
        try:
            assert headers.get("content-type") == "application/json", headers.get("content-type")
            request = json.loads(body)
            found = [r for of in request[resources] for scope in of[scopes] for r in scope[records]]
            # The ids are hexadecimal in OTLP's JSON, which protobuf's own reader does not know.
            bytes_of = json.loads(body, object_hook=lambda o: {
                k: base64.b64encode(bytes.fromhex(v)).decode() if k in ("traceId", "spanId") else v for k, v in o.items()})
            json_format.ParseDict(bytes_of, getattr(module, message)())
            for of in request[resources]:
                self.check_attributes(of["resource"]["attributes"])
            for record in found if package == "trace" else []:
                assert len(record["traceId"]) == 32 and len(record["spanId"]) == 16, record
                self.check_attributes(record["attributes"])
        except (AssertionError, ValueError, KeyError, TypeError, json_format.ParseError) as e:
            self.problems.append(repr(e))
            return 400, b'{"code":3,"message":"invalid"}'
        self.signals.setdefault(package, []).append(found)
        return 200, b"{}"

    def take(self, path, headers, body, drop):
        if path in self.SIGNALS:
            return self.take_signal(path, headers, body)
        if path != "/v1/logs":
            return 404, b"{}"
        records = []
        try:
            assert headers.get("content-type") == "application/json", headers.get("content-type")
            request = json.loads(body)
            assert set(request) == {"resourceLogs"}
            for resource in request["resourceLogs"]:
                assert set(resource) <= {"resource", "scopeLogs", "schemaUrl"}
                self.check_attributes(resource["resource"]["attributes"])
                for scope in resource["scopeLogs"]:
                    assert set(scope) <= {"scope", "logRecords", "schemaUrl"} and set(scope["scope"]) <= {"name", "version", "attributes"}
                    for record in scope["logRecords"]:
                        self.check(record)
                        records.append(record)
        except (AssertionError, ValueError, KeyError, TypeError) as e:
            self.problems.append(repr(e))
            return 400, b'{"code":3,"message":"invalid"}'
        bad = [r for r in records if self.reject and self.reject in r["body"]["stringValue"]]
        if not drop:
            self.events += [r for r in records if r not in bad]
        if bad:
            return 200, json.dumps({"partialSuccess": {"rejectedLogRecords": str(len(bad)), "errorMessage": "no"}}).encode()
        return 200, b"{}"


class LinesReceiver(HttpReceiver):
    """A webhook that takes JSON lines."""

    def __init__(self, port: int = 0):
        self.seen: list[dict] = []
        super().__init__(port)

    def take(self, path, headers, body, drop):
        self.seen.append({k.lower(): v for k, v in headers.items()} | {"body": body})
        if not drop:
            self.events += [json.loads(line) for line in body.decode().split("\n") if line]
        return 204, b""
