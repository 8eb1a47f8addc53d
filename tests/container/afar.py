"""A container of servers that profiles come from (nginx, etcd, an OCI registry), and signed bundles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from container.engine import REPOSITORY, Container, Engine
from converge.bundle import minisign, packing
from converge.bundle.statement import Statement

PACKAGES = "etcd-server etcd-client nginx-light docker-registry iptables"
TLS = REPOSITORY / "tests/unit/tls"
EXPIRES = 4_000_000_000
_NGINX = """
daemon on; events {}
http { access_log /srv/access.log; server { listen 443 ssl; server_name localhost; root /srv;
  ssl_certificate /tls/server.pem; ssl_certificate_key /tls/server.key; } }
"""
_REGISTRY = """
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/registry}}
http: {addr: ":5000"}
"""
START = """
nginx -c /etc/nginx.conf
docker-registry serve /etc/registry.yml >/dev/null 2>&1 &
exec etcd --data-dir /var/lib/etcd --log-level error --listen-client-urls http://127.0.0.1:2379 \
  --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
"""


def recipe(image: str) -> str:
    """Return the Dockerfile of the servers."""
    nginx, registry = (json.dumps(text) for text in (_NGINX, _REGISTRY))
    return (
        f"FROM {image}\n"
        f"RUN apt-get update && apt-get install -y --no-install-recommends {PACKAGES}\n"
        f"RUN printf %b {nginx} > /etc/nginx.conf && printf %b {registry} > /etc/registry.yml\n"
    )


def resolver(address: str) -> dict[str, Any]:
    """Return the profile that the tests roll out: a name server in a file of its own."""
    return {"resources": [{"file": "/etc/ns.conf", "content": f"nameserver {address}\n"}]}


class Publisher:
    """Makes bundles, signs them with its key and puts them on the servers."""

    def __init__(self, servers: Container, folder: Path) -> None:
        self.servers = servers
        self.folder = folder
        self.key = minisign.generate()

    def make(self, profile: Any, sequence: int, *, key: minisign.SecretKey | None = None) -> Path:
        """Return a signed bundle, web.tar.gz, with its signature beside it."""
        source = self.folder / "web"
        source.mkdir(exist_ok=True)
        (source / "profile.yaml").write_text(json.dumps(profile))
        bundle = self.folder / "web.tar.gz"
        bundle.write_bytes(packing.pack(str(source), {}))
        stated = Statement(name="web", sequence=sequence, expires=EXPIRES)
        text = minisign.sign(key or self.key, bundle.read_bytes(), str(stated))
        bundle.with_name("web.tar.gz.minisig").write_text(text)
        return bundle

    def to_nginx(self, bundle: Path) -> None:
        """Put a bundle on the web server, each file whole."""
        for name in (bundle.name, f"{bundle.name}.minisig"):
            self._copy(bundle.with_name(name), f"/srv/{name}.new")
            self._must("mv", f"/srv/{name}.new", f"/srv/{name}")

    def to_etcd(self, bundle: Path) -> None:
        """Put a bundle into etcd."""
        self._copy(bundle, "/tmp/b")
        self._copy(bundle.with_name(f"{bundle.name}.minisig"), "/tmp/s")
        put = "export ETCDCTL_API=3; etcdctl put /web < /tmp/b && etcdctl put /web.minisig < /tmp/s"
        self._must("sh", "-c", put)

    def to_registry(self, bundle: Path, engine: Engine, tag: str = "stable") -> None:
        """Push a bundle as `oras push` does, by the ORAS project's own client."""
        from oras.client import OrasClient

        port = engine.must("port", self.servers.name, "5000").rpartition(":")[2]
        files = [str(bundle), f"{bundle}.minisig"]
        client = OrasClient(hostname=f"127.0.0.1:{port}", insecure=True)
        client.push(
            target=f"127.0.0.1:{port}/ops/web:{tag}", files=files,
            disable_path_validation=True, quiet=True,
        )  # fmt: skip

    def _copy(self, source: Path, target: str) -> None:
        self.servers.engine.must("cp", str(source), f"{self.servers.name}:{target}")

    def _must(self, *argv: str) -> None:
        done = self.servers.exec(*argv)
        assert done.code == 0, done.err
