"""A double of HashiCorp Vault and OpenBao: what their HTTP API documents of tokens, JWT, Kubernetes and AppRole logins, KV 1 and 2,
the database engine and leases. Its database engine makes real roles in a real PostgreSQL. Neither product has been asked.
"""

import contextlib
import json
import secrets
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Vault:
    """`mode`: up, down (the connection is cut), 500, sealed, garbage, huge, slow, redirect."""

    def __init__(self, certificate=None, postgres=None, roles_in="postgres", namespace=""):
        self.mode, self.postgres, self.roles_in, self.namespace = "up", postgres, roles_in, namespace
        self.kv, self.forbidden = {}, set()  # path of the API -> members; paths that no policy allows
        self.logins = {}  # path of the login -> the body that is right
        self.token_life, self.lease_life, self.lease_longest, self.renewable = 3600, 3600, 86400, True
        self.renews_another = False  # answers a renewal with another lease, of an hour
        self.tokens = {}  # text -> [end, own]
        self.leases = {}  # id -> [user, end, longest, token]
        self.asked, self.given = [], []  # (method, path); every secret that was handed out
        self.elsewhere = ""
        self.lock = threading.RLock()
        self.running = True
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def reply(self, status, body=None, **headers):
                text = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(text)

            def do(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                path = self.path.removeprefix("/v1/")
                double.asked.append((self.command, path))
                if double.mode == "down":
                    self.close_connection = True
                    return self.connection.close()
                if double.mode in ("500", "sealed"):
                    return self.reply(500 if double.mode == "500" else 503, {"errors": ["vault-words-canary"]})
                if double.mode == "garbage":
                    return self.reply(200, b'{"data": {"data": {"vault-words-canary')
                if double.mode == "huge":
                    return self.reply(200, b'{"data":{"x":"' + b"A" * (8 << 20) + b'"}}')
                if double.mode == "redirect":
                    return self.reply(307, None, location=double.elsewhere + self.path)
                if double.mode == "slow":
                    time.sleep(30)
                with double.lock:
                    status, answer = double.answer(self.command, path, json.loads(body) if body else None, self.headers)
                self.reply(status, answer)

            do_GET = do_POST = do

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.server.server_address[1]}"
        for work in (self.server.serve_forever, self._expire):
            threading.Thread(target=work, daemon=True).start()

    # -- what an operator does ---------------------------------------------------------------------------
    def make_token(self, life: float = 0, own: bool = False) -> str:
        token = "hvs." + secrets.token_urlsafe(24)
        with self.lock:
            self.tokens[token] = [time.time() + life if life else float("inf"), own]
            self.given.append(token)
        return token

    def forget_tokens(self) -> None:
        with self.lock:
            for token in list(self.tokens):
                self._end_token(token)

    def revoke_all(self) -> None:
        with self.lock:
            for lease in list(self.leases):
                self._end_lease(lease)

    def count(self, path: str) -> int:
        return sum(p == path for _, p in list(self.asked))

    def stop(self) -> None:
        self.running = False
        self.revoke_all()
        self.server.shutdown()
        self.server.server_close()

    # -- its side ----------------------------------------------------------------------------------------
    def _expire(self):
        while self.running:
            time.sleep(0.1)
            if self.mode != "up":
                continue  # a Vault that is down revokes nothing
            with self.lock:
                now = time.time()
                for token in [t for t, (end, _) in self.tokens.items() if end < now]:
                    self._end_token(token)
                for lease in [i for i, (_, end, _, _) in self.leases.items() if end < now]:
                    self._end_lease(lease)

    def _end_token(self, token):
        self.tokens.pop(token, None)
        for lease in [i for i, entry in self.leases.items() if entry[3] == token]:
            self._end_lease(lease)

    def _end_lease(self, lease):
        user = self.leases.pop(lease)[0]
        self._sql(f'DROP OWNED BY "{user}"; DROP ROLE "{user}"')

    def _sql(self, text):
        from kit.pgwire import Where, Wire
        with Wire(Where(self.postgres.port, "postgres", database=self.roles_in, keep=False)) as admin:
            for statement in text.split("; "):
                admin.rows(statement)

    def _auth(self):
        token = self.make_token(self.token_life, own=True)
        return 200, {"auth": {"client_token": token, "accessor": "a", "policies": ["default", "gate"], "lease_duration": self.token_life,
                              "renewable": True, "token_type": "service"}, "data": None, "lease_id": "", "lease_duration": 0}

    def answer(self, method, path, body, headers):
        no = 403, {"errors": ["permission denied"]}
        if headers.get("x-vault-request") != "true" or headers.get("x-vault-namespace", "") != self.namespace:
            return no
        if path in self.logins:
            return self._auth() if method == "POST" and body == self.logins[path] else (400, {"errors": [f"not {json.dumps(body)}"]})
        token = headers.get("x-vault-token", "")
        if token not in self.tokens or self.tokens[token][0] < time.time():
            return no
        if path == "auth/token/lookup-self":
            end = self.tokens[token][0]
            return 200, {"data": {"ttl": 0 if end == float("inf") else int(end - time.time()), "renewable": end != float("inf"), "id": token}}
        if path == "auth/token/renew-self":
            self.tokens[token][0] = time.time() + self.token_life
            return 200, {"auth": {"client_token": token, "lease_duration": self.token_life, "renewable": True}}
        if path == "auth/token/revoke-self":
            self._end_token(token)
            return 204, None
        if path in self.forbidden:
            return no
        if path in self.kv:
            self.given += [v for v in self.kv[path].values() if isinstance(v, str)]
            if "/data/" in path:
                return 200, {"lease_id": "", "lease_duration": 0, "data": {"data": self.kv[path], "metadata": {"version": 1, "deletion_time": ""}}}
            return 200, {"lease_id": "", "lease_duration": 2764800, "renewable": False, "data": self.kv[path]}
        if path.startswith("database/creds/"):
            return self._new_lease(path, token)
        if path == "sys/leases/renew":
            lease = self.leases.get(body["lease_id"])
            if lease is None:
                return 400, {"errors": ["lease not found"]}
            lease[1] = min(time.time() + self.lease_life, lease[2])
            if self.renews_another:
                return 200, {"lease_id": body["lease_id"] + "x", "lease_duration": 3600, "renewable": True}
            return 200, {"lease_id": body["lease_id"], "lease_duration": int(lease[1] - time.time()), "renewable": True}
        if path == "sys/leases/revoke":
            if body["lease_id"] in self.leases:
                self._end_lease(body["lease_id"])
            return 204, None
        return 404, {"errors": []}

    def _new_lease(self, path, token):
        role, lease, password = path.rpartition("/")[2], f"{path}/{secrets.token_urlsafe(18)}", secrets.token_urlsafe(15)
        if role != "reader":
            return 400, {"errors": [f"unknown role: {role}"]}
        user = f"v-gate-{role}-{secrets.token_hex(10)}"
        self._sql(f"""CREATE ROLE "{user}" LOGIN PASSWORD '{password}'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{user}\"""")
        self.leases[lease] = [user, time.time() + self.lease_life, time.time() + self.lease_longest, token]
        self.given.append(password)
        return 200, {"lease_id": lease, "lease_duration": self.lease_life, "renewable": self.renewable, "data": {"username": user, "password": password}}
