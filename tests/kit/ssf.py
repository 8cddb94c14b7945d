"""A transmitter of security events that is polled (RFC 8936): keeps what is not acknowledged."""

import http.server
import json
import threading


class Stream:
    def __init__(self, token: str):
        self.token, self.events, self.acked, self.errors = token, {}, [], {}
        self.asked, self.mode = 0, "up"  # up | down | garbage
        stream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                stream.asked += 1
                if self.headers["authorization"] != f"Bearer {stream.token}":
                    return self._answer(401, b"{}")
                if stream.mode == "down":
                    return self._answer(503, b"{}")
                if stream.mode == "garbage":
                    return self._answer(200, b'{"sets": [')
                for jti in body.get("ack", []):
                    stream.acked.append(jti)
                    stream.events.pop(jti, None)
                for jti, error in body.get("setErrs", {}).items():
                    stream.errors[jti] = error["err"]
                    stream.events.pop(jti, None)
                some = dict(list(stream.events.items())[:body.get("maxEvents", 100)])
                return self._answer(200, json.dumps({"sets": some, "moreAvailable": len(some) < len(stream.events)}).encode())

            def _answer(self, status, text):
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *args):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/poll"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
