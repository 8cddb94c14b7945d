"""A cluster that is asked whether its accounts' tokens are still good. The API server here is a double: a server of this file that answers
TokenReview as Kubernetes documents it; no cluster is part of these tests."""

import http.server
import json
import os
import threading
import time

import pytest

from kit.parts import Gateway, Oidc, http_connection
from kit.process import eventually

ACCOUNT = "system:serviceaccount:ci:runner"
OWN = "token-of-the-gates-own-account-77a1"


class ApiServerDouble:
    def __init__(self):
        self.reviews, self.gone, self.broken, self.username, self.audiences = [], set(), None, ACCOUNT, None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.headers["Authorization"] != f"Bearer {OWN}":
                    return self.answer(401, {})
                assert self.path == "/apis/authentication.k8s.io/v1/tokenreviews" and body["kind"] == "TokenReview", (self.path, body)
                outer.reviews.append(body["spec"])
                if outer.broken:
                    return self.answer(*outer.broken)
                if body["spec"]["token"] in outer.gone:
                    return self.answer(201, {**body, "status": {"authenticated": False, "error": "[invalid bearer token, pod has been deleted]"}})
                status = {"authenticated": True, "user": {"username": outer.username, "uid": "3f1a", "groups": ["system:serviceaccounts"]},
                          "audiences": body["spec"]["audiences"] if outer.audiences is None else outer.audiences}
                return self.answer(201, {**body, "status": status})

            def answer(self, status, value):
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def api_server():
    part = ApiServerDouble()
    yield part
    part.stop()


@pytest.fixture(scope="module")
def cluster(scratch, oidc):
    part = Oidc(scratch / "cluster", oidc.audience, name="corp")
    part.name = "cluster"
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, cluster, api_server, upstream):
    def change(config):
        config["identity"]["providers"][1]["oidc"].update(
            {"class": "k8s-sa", "token_review": {"url": api_server.url, "token": {"env": "TEST_REVIEWER"}}})
        config["identity"]["agents"] = [{"name": "runner", "owner": "group:ops", "match": {"provider": "cluster", "subject": ACCOUNT}}]
    policies = [{"id": "runner", "effect": "allow", "who": ["agent:runner"], "on": {"connection": "up", "tools": ["echo"]}}]
    part = Gateway(scratch / "gateway", oidc, [http_connection("up", upstream.url)], policies, changes=change, extra_oidc=[cluster],
                   env={"TEST_REVIEWER": OWN}, port=oidc.first_port())
    yield part
    part.stop()


@pytest.fixture(autouse=True)
def good_again(api_server):
    api_server.broken, api_server.username, api_server.audiences = None, ACCOUNT, None


def token(cluster, **changes) -> str:
    now = int(time.time())
    return cluster.mint({"iss": cluster.issuer, "aud": cluster.audience, "iat": now, "exp": now + 600, "jti": os.urandom(9).hex(), "sub": ACCOUNT,
                         "kubernetes.io": {"namespace": "ci", "serviceaccount": {"name": "runner", "uid": "3f1a"},
                                           "pod": {"name": "runner-x", "uid": "77b0"}}, **changes}, {"typ": "JWT"})


def call(gateway, text: str):
    return gateway.client("up", token=text).call("echo", {"message": "x"})


def test_a_deleted_pod_is_refused_within_ten_seconds(gateway, cluster, api_server):
    pod, before = token(cluster), len(api_server.reviews)
    for _ in range(5):
        assert call(gateway, pod).text() == "Echo: x"
    assert len(api_server.reviews) == before + 1 and api_server.reviews[-1]["audiences"] == [cluster.audience]
    api_server.gone.add(pod)
    begun = time.monotonic()
    assert eventually(lambda: call(gateway, pod).status == 401, 12, step=0.5)
    assert time.monotonic() - begun < 11.5
    gateway.recorded(event="auth.failure", reason="token-inactive")


@pytest.mark.parametrize("how, status", [
    ({"username": "system:serviceaccount:ci:other"}, 401), ({"audiences": []}, 401), ({"audiences": ["https://kubernetes.default.svc"]}, 401),
    ({"broken": (500, {})}, 503), ({"broken": (201, b"not json")}, 503), ({"broken": (201, {"status": "yes"})}, 503),
    ({"broken": (201, {"status": {"authenticated": "true"}})}, 401), ({"broken": (201, b"[" * 100_000)}, 503)])
def test_any_other_answer_lets_nobody_in(gateway, cluster, api_server, fresh, how, status):
    for name, value in how.items():
        setattr(api_server, name, value)
    assert call(gateway, token(cluster)).status == status
    assert fresh.calls() == [] and gateway.alive()


def test_what_the_cluster_did_not_sign_is_not_shown_to_it(gateway, cluster, oidc, api_server):
    before = len(api_server.reviews)
    good = token(cluster)
    head, body, signature = good.split(".")
    for text in (f"{head}.{body}.{signature[::-1]}", token(cluster, aud="elsewhere"), token(cluster, exp=int(time.time()) - 100),
                 oidc.token("tester")):
        call(gateway, text)
    assert len(api_server.reviews) == before
