"""A person who decides about requests for approval, by the gateway's own interface."""

import json
import urllib.error
import urllib.request

from kit.process import eventually


class Approver:
    def __init__(self, gateway, who: str = "lead", token: str = ""):
        self.gateway, self.who, self._token = gateway, who, token

    @property
    def token(self) -> str:
        return self._token or self.gateway.oidc.token(self.who)

    def ask(self, method: str, path: str, body: dict | None = None) -> tuple[int, dict]:
        request = urllib.request.Request(
            self.gateway.public_url + path, json.dumps(body).encode() if body is not None else None,
            {"authorization": f"Bearer {self.token}", "content-type": "application/json",
             "x-sallyport": "1"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def all(self, state: str = "") -> list[dict]:
        """The newest requests first."""
        status, answer = self.ask("GET", "/api/v1/approvals" + (f"?state={state}" if state else ""))
        assert status == 200, (status, answer)
        return answer["approvals"]

    def find(self, mark: str, state: str = "") -> list[dict]:
        """Requests whose shown arguments hold `mark`, in this state if one is named."""
        return [r for r in self.all(state) if mark in json.dumps(r["shown"]) and state in ("", r["state"])]

    def waiting(self, mark: str, timeout: float = 15) -> dict:
        found = eventually(lambda: self.find(mark, "pending"), timeout, 0.05)
        assert found, f"nobody asked about {mark}: {self.all()}"
        return found[0]

    def decide(self, request: dict, approve: bool, reason: str = "looked at") -> tuple[int, dict]:
        return self.ask("POST", f"/api/v1/approvals/{request['id']}/decision",
                        {"decision": "approve" if approve else "deny", "reason": reason, "digest": request["digest"]})

    def approve(self, mark: str, timeout: float = 15) -> dict:
        request = self.waiting(mark, timeout)
        status, answer = self.decide(request, True)
        assert status == 200, (status, answer)
        return request

    def deny(self, mark: str, timeout: float = 15, reason: str = "not today") -> dict:
        request = self.waiting(mark, timeout)
        status, answer = self.decide(request, False, reason)
        assert status == 200, (status, answer)
        return request

    def state(self, ident: str) -> str:
        return next((r["state"] for r in self.all() if r["id"] == ident), "gone")
