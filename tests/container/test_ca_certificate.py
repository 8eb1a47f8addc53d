"""The kind `ca_certificate` in containers, seen by real TLS connections to a server on loopback."""

from __future__ import annotations

import hashlib

import pytest

PYTHON = "/opt/converge/bin/python"
AUTHORITY = """
mkdir -p /tmp/tls && cd /tmp/tls
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -subj "/CN=Corp $1" -keyout ca.key -out ca.pem
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
    -subj /CN=localhost -keyout server.key -out server.csr
echo subjectAltName=DNS:localhost > names
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -days 20 -extfile names -out server.pem
echo secret > page
test ! -e pid || kill $(cat pid)
openssl s_server -accept 127.0.0.1:4433 -cert server.pem -key server.key -WWW > /dev/null 2>&1 &
echo $! > pid
for n in $(seq 100); do
    openssl s_client -connect 127.0.0.1:4433 < /dev/null > /dev/null 2>&1 && exit 0
    sleep 0.05
done
exit 1
"""
CONNECT = "import ssl, socket; s = ssl.create_default_context().wrap_socket(socket.create_connection(('127.0.0.1', 4433)), server_hostname='localhost')"  # noqa: E501


def authority(box, name="Root"):
    """Make an authority and a server of its, and return the authority's certificate."""
    made = box.exec("sh", "-c", AUTHORITY, "sh", name)
    assert made.code == 0, made.err
    return box.read("/tmp/tls/ca.pem")


def trusted(box, **env):
    """Return which clients trust the server: by OpenSSL's defaults, its directory alone, Python."""
    client = ["openssl", "s_client", "-connect", "127.0.0.1:4433", "-verify_return_error"]
    by_hash = ("-no-CAfile", "-no-CAstore", "-CApath", "/etc/ssl/certs")
    return (
        box.exec(*client, stdin="Q\n", env=env).code == 0,
        box.exec(*client, *by_hash, stdin="Q\n", env=env).code == 0,
        box.exec(PYTHON, "-c", CONNECT, env=env).code == 0,
    )


def run(box, *resources, env=None):
    box.profile({"resources": [*resources]})
    report = box.report("--once", env=env)
    return {one["id"]: one for one in report["resources"]}


def outcomes(box, *resources, **options):
    found = run(box, *resources, **options)
    return {name.partition(":")[2]: one["outcome"] for name, one in found.items()}


def test_trusted_renewed_and_taken_back(container):
    box = container(profile={"resources": []})
    declared = {"ca_certificate": "corp", "content": authority(box)}
    assert trusted(box) == (False, False, False)
    page = {
        "download": "/opt/page",
        "url": "https://localhost:4433/page",
        "digest": f"sha256:{hashlib.sha256(b'secret' + bytes([10])).hexdigest()}",
        "require": "ca_certificate:corp",
    }
    assert outcomes(box, page | {"require": []})["/opt/page"] == "failed"
    assert outcomes(box, page, declared) == {"corp": "changed", "/opt/page": "changed"}
    assert trusted(box) == (True, True, True)
    assert outcomes(box, declared) == {}
    renewed = {"ca_certificate": "corp", "content": authority(box, "Second")}
    assert trusted(box) == (False, False, False)
    assert outcomes(box, renewed) == {"corp": "changed"}
    assert trusted(box) == (True, True, True)
    assert outcomes(box, {"ca_certificate": "corp", "state": "absent"}) == {"corp": "changed"}
    assert trusted(box) == (False, False, False)
    assert box.exec("find", "/etc/ssl/certs", "-xtype", "l").out == "", "no dangling links"


def test_without_the_distributions_program_the_bundle_is_edited(container):
    box = container(profile={"resources": []})
    declared = {"ca_certificate": "corp", "content": authority(box)}
    box.exec("rm", "/usr/sbin/update-ca-certificates")
    assert outcomes(box, declared) == {"corp": "changed"}
    assert trusted(box)[::2] == (True, True)
    assert outcomes(box, declared) == {}
    assert outcomes(box, {"ca_certificate": "corp", "state": "absent"}) == {"corp": "changed"}
    assert trusted(box)[::2] == (False, False)


@pytest.mark.parametrize(
    "options", [("--user", "1000"), ("--user", "1000", "--read-only"), ("--read-only",)]
)
def test_where_it_cannot_be_changed_a_bundle_is_written_beside(container, options):
    box = container("--tmpfs=/tmp", *options, profile={"resources": []})
    declared = {"ca_certificate": "corp", "content": authority(box)}
    for _ in range(2):
        found = run(box, declared)["ca_certificate:corp"]
        assert found["outcome"] == "unmanageable"
    assert "cannot be changed here" in found["reason"]
    path = found["remedy"].partition("SSL_CERT_FILE=")[2].partition(",")[0]
    assert path.startswith("/"), found
    assert trusted(box)[::2] == (False, False)
    assert trusted(box, SSL_CERT_FILE=path)[::2] == (True, True)
    assert box.read(path).count("BEGIN CERTIFICATE") > 100
    assert outcomes(box, declared, env={"SSL_CERT_FILE": path}) == {}
