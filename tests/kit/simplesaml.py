"""SimpleSAMLphp (Debian) as a real identity provider on loopback: `php -S`, a form for name and password, everything signed."""

import os
import pathlib
import subprocess
import time
import urllib.request

ROOT = "/usr/share/simplesamlphp"


class SimpleSaml:
    """`host` is another name than the gate's where cookies shall see two sites."""

    def __init__(self, directory: pathlib.Path, port: int, sp: str, host: str = "localhost", people: dict | None = None):
        if not os.path.isdir(ROOT):
            raise AssertionError("no SimpleSAMLphp: this test needs it (Debian: apt-get install simplesamlphp php-cli; ./dev test does)")
        self.directory, self.url = directory, f"http://{host}:{port}"
        people = people or {"alice": {"mail": ["alice@example.com"], "memberOf": ["testers", "dba"]}}
        for name in ("config", "config/metadata", "cert", "data", "log", "tmp"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", directory / "cert/idp.key", "-out", directory / "cert/idp.crt",
                        "-subj", "/CN=idp", "-days", "3650"], check=True, capture_output=True)
        self.entity_id = self.url + "/idp"
        users = "".join(f"'{name}:pw' => ['uid' => ['{name}'], " + ", ".join(f"'{k}' => {v!r}" for k, v in attributes.items()) + "],\n"
                        for name, attributes in people.items())
        (directory / "config/config.php").write_text(f"""<?php
$config = ['baseurlpath' => '{self.url}/', 'certdir' => '{directory}/cert/', 'loggingdir' => '{directory}/log/', 'datadir' => '{directory}/data/',
  'tempdir' => '{directory}/tmp', 'metadatadir' => '{directory}/config/metadata', 'secretsalt' => 'not-a-secret-salt', 'auth.adminpassword' => 'not-used-1', 'timezone' => 'UTC',
  'enable.saml20-idp' => true, 'store.type' => 'phpsession', 'session.cookie.secure' => false, 'session.cookie.samesite' => null,
  'session.phpsession.savepath' => '{directory}/tmp', 'session.phpsession.cookiename' => 'SimpleSAML',
  'trusted.url.domains' => ['localhost:{port}', '127.0.0.1:{port}'], 'module.enable' => ['exampleauth' => true, 'core' => true, 'saml' => true],
  'logging.level' => 7, 'logging.handler' => 'file', 'logging.logfile' => 'ssp.log', 'language.default' => 'en',
  'metadata.sources' => [['type' => 'flatfile', 'directory' => '{directory}/config/metadata']]];
""")
        (directory / "config/authsources.php").write_text(f"<?php\n$config = ['users' => ['exampleauth:UserPass', {users}]];\n")
        (directory / "config/metadata/saml20-idp-hosted.php").write_text(f"""<?php
$metadata['{self.entity_id}'] = ['host' => '__DEFAULT__', 'privatekey' => 'idp.key', 'certificate' => 'idp.crt', 'auth' => 'users', 'saml20.sign.response' => true,
  'saml20.sign.assertion' => true, 'signature.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  'redirect.sign' => true, 'redirect.validate' => true,
  'authproc' => [3 => ['class' => 'saml:AttributeNameID', 'attribute' => 'uid', 'identifyingAttribute' => 'uid', 'Format' => 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent']]];
""")
        (directory / "config/metadata/saml20-sp-remote.php").write_text(f"""<?php
$metadata['{sp}/login/saml/metadata'] = ['AssertionConsumerService' => '{sp}/login/saml/acs', 'NameIDFormat' => 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent'];
""")
        self.log = open(directory / "php.log", "ab")
        self.popen = subprocess.Popen(["php", "-d", "error_reporting=8191", "-d", "display_errors=0", "-S", f"{host}:{port}", "-t", ROOT + "/www"],
                                      env={**os.environ, "SIMPLESAMLPHP_CONFIG_DIR": str(directory / "config"), "PHP_CLI_SERVER_WORKERS": "2"},
                                      stdout=self.log, stderr=self.log, start_new_session=True)
        self.metadata = self._metadata()

    def trust(self, sp: str, certificate: str):
        """Knows the gate's key from now on: its messages have to be signed, and it is told when people sign out here."""
        (self.directory / "config/metadata/saml20-sp-remote.php").write_text(f"""<?php
$metadata['{sp}/login/saml/metadata'] = ['AssertionConsumerService' => '{sp}/login/saml/acs', 'NameIDFormat' => 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
  'SingleLogoutService' => '{sp}/login/saml/logout', 'certData' => '{certificate}', 'redirect.validate' => true, 'validate.logout' => true];
""")

    def _metadata(self) -> str:
        deadline = time.monotonic() + 20
        while True:
            try:
                with urllib.request.urlopen(self.url + "/saml2/idp/metadata.php", timeout=5) as answer:
                    return answer.read().decode()
            except OSError as error:
                assert time.monotonic() < deadline, (error, (self.directory / "php.log").read_text()[-3000:],
                                                     (self.directory / "log/ssp.log").read_text()[-3000:] if (self.directory / "log/ssp.log").exists() else "")
                time.sleep(0.1)

    def stop(self):
        import signal
        os.killpg(self.popen.pid, signal.SIGTERM)
        self.popen.wait(10)
        self.log.close()
