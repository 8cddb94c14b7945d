"""A receiver of webhooks on loopback."""

import hashlib
import hmac
import http.server
import threading
import time


class Hook:
    """Keeps what was posted. `status` is what it answers, `delay` how long it takes to."""

    def __init__(self, key: str = ""):
        self.key, self.status, self.delay = key, 200, 0.0
        self.got: list[dict] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status = outer.status  # as it is now: who waits for the message may change it next
                outer.got.append({"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body})
                time.sleep(outer.delay)
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def signed(self, message: dict) -> bool:
        """As a receiver checks it: the HMAC over time and body, and a time of now."""
        parts = dict(p.partition("=")[::2] for p in message["headers"].get("x-sallyport-signature", "").split(","))
        if not {"t", "v1"} <= set(parts) or abs(time.time() - int(parts["t"])) > 300:
            return False
        want = hmac.new(self.key.encode(), parts["t"].encode() + b"." + message["body"], hashlib.sha256).hexdigest()
        return hmac.compare_digest(want, parts["v1"])

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
