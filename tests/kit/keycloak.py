"""Keycloak (org.keycloak:keycloak-quarkus-dist) as a real provider for OpenID Connect and SAML 2.0; tests/setup.sh puts it into build/keycloak."""

import json
import os
import pathlib
import time
import urllib.error
import urllib.parse
import urllib.request

from kit.paths import ROOT
from kit.process import Process, free_port

HOME = ROOT / "build/keycloak"
ADMIN = {"KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": "admin-password"}


def mapper(kind: str, protocol: str = "openid-connect", **config) -> dict:
    return {"name": kind + json.dumps(config, sort_keys=True)[:40], "protocol": protocol, "protocolMapper": kind,
            "config": {k.replace("__", "."): v for k, v in config.items()}}


def audience(gate: str) -> dict:
    return mapper("oidc-audience-mapper", included__custom__audience=gate, access__token__claim="true", id__token__claim="false")


def groups(full_path: bool = False) -> dict:
    return mapper("oidc-group-membership-mapper", claim__name="groups", full__path=str(full_path).lower(), access__token__claim="true", id__token__claim="true")


def realm(gate: str) -> dict:
    """People, a console for signing in, an agent, and clients for tokens that are right and wrong for the gate."""
    people = {"alice": ["testers", "dba"], "bob": []}
    saml = mapper("saml-group-membership-mapper", "saml", attribute__name="memberOf", single="true", full__path="false"), \
        mapper("saml-user-property-mapper", "saml", user__attribute="email", attribute__name="mail")
    token = {"publicClient": True, "directAccessGrantsEnabled": True, "standardFlowEnabled": False}
    return {
        "realm": "corp", "enabled": True, "sslRequired": "none", "groups": [{"name": "testers"}, {"name": "dba"}],
        "users": [{"username": name, "enabled": True, "email": f"{name}@example.com", "emailVerified": True, "firstName": name, "lastName": "Example",
                   "groups": belongs, "credentials": [{"type": "password", "value": "pw"}]} for name, belongs in people.items()],
        "clients": [
            {"clientId": "sallyport-console", "secret": "sallyport-console-secret", "redirectUris": [gate + "/login/callback"], "protocolMappers": [groups()],
             "attributes": {"backchannel.logout.url": gate + "/backchannel-logout", "backchannel.logout.session.required": "true",
                            "post.logout.redirect.uris": "+"}, "frontchannelLogout": False},
            {"clientId": "agent-refunds", "secret": "agent-secret", "serviceAccountsEnabled": True, "standardFlowEnabled": False, "protocolMappers": [audience(gate)]},
            {"clientId": "tokens", **token, "protocolMappers": [audience(gate), groups()]},
            {"clientId": "tokens-full-path", **token, "protocolMappers": [audience(gate), groups(True)]},
            {"clientId": "tokens-of-others", **token, "protocolMappers": [groups()]},
            {"clientId": gate + "/login/saml/metadata", "protocol": "saml", "redirectUris": [gate + "/login/saml/acs"], "frontchannelLogout": True, "protocolMappers": list(saml),
             "attributes": {"saml.assertion.signature": "true", "saml.server.signature": "true", "saml.client.signature": "false", "saml.authnstatement": "true",
                            "saml_name_id_format": "persistent", "saml.force.name.id.format": "true", "saml.force.post.binding": "true",
                            "saml.signature.algorithm": "RSA_SHA256", "saml_assertion_consumer_url_post": gate + "/login/saml/acs",
                            "saml_single_logout_service_url_redirect": gate + "/login/saml/logout"}},
        ],
    }


class Keycloak:
    def __init__(self, directory: pathlib.Path, gate: str):
        self.port, self.management = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.issuer = self.url + "/realms/corp"
        env = {**os.environ, **ADMIN, "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m", "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1 -Djava.net.preferIPv4Stack=true"}
        self.process = Process("keycloak", [HOME / "bin/kc.sh", "start", "--optimized", "--http-enabled=true", "--hostname-strict=false", "--http-host=127.0.0.1",
                                            f"--http-port={self.port}", f"--http-management-port={self.management}"], directory, env)
        self._wait()
        self._admin = None
        self.admin("POST", "/admin/realms", realm(gate))

    def _wait(self):
        deadline = time.monotonic() + 240  # a loaded machine
        while True:
            try:
                with urllib.request.urlopen(self.url + "/realms/master", timeout=5):
                    return
            except OSError:
                assert time.monotonic() < deadline and self.process.popen.poll() is None, self.process.out[-3000:]
                time.sleep(0.3)

    def _token(self, realm_name: str, **fields) -> dict:
        body = urllib.parse.urlencode(fields).encode()
        with urllib.request.urlopen(f"{self.url}/realms/{realm_name}/protocol/openid-connect/token", body, timeout=60) as answer:
            return json.loads(answer.read())

    def admin(self, method: str, path: str, value=None):
        token = self._token("master", grant_type="password", client_id="admin-cli", username="admin", password="admin-password")["access_token"]
        request = urllib.request.Request(self.url + path, json.dumps(value).encode() if value is not None else None,
                                         {"authorization": "Bearer " + token, "content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def person_token(self, who: str, client: str = "tokens") -> str:
        return self._token("corp", grant_type="password", client_id=client, username=who, password="pw", scope="openid")["access_token"]

    def agent_token(self) -> str:
        return self._token("corp", grant_type="client_credentials", client_id="agent-refunds", client_secret="agent-secret")["access_token"]

    def user(self, name: str) -> dict:
        return self.admin("GET", f"/admin/realms/corp/users?username={name}&exact=true")[0]

    def saml_metadata(self) -> str:
        with urllib.request.urlopen(self.issuer + "/protocol/saml/descriptor", timeout=30) as answer:
            return answer.read().decode()

    def trust(self, gate: str, certificate: str):
        """The gate's SAML messages have to be signed with its key from now on."""
        client = next(c for c in self.admin("GET", "/admin/realms/corp/clients") if c["clientId"] == gate + "/login/saml/metadata")
        client["attributes"] |= {"saml.client.signature": "true", "saml.signing.certificate": certificate}
        self.admin("PUT", f"/admin/realms/corp/clients/{client['id']}", client)

    def stop(self):
        self.process.stop()
