"""Profiles from afar: real nginx with TLS, real etcd, a real OCI registry; the network as it fails."""

from __future__ import annotations

import pytest

from container import afar
from container.engine import Container
from container.resident import agent_says, is_idle, processes, until
from converge.bundle import minisign

URLS = {
    "https": "https://localhost/web.tar.gz",
    "etcd": "etcd://127.0.0.1:2379/web",
    "oci": "oci://localhost:5000/ops/web:stable",
}


@pytest.fixture(scope="module")
def servers(engine, image, tmp_path_factory):
    """A container with the three servers, all on the loopback device of its network."""
    made = Container(engine, tmp_path_factory.mktemp("servers") / "profile.yaml")
    built = engine.build("-", stdin=afar.recipe(image))
    engine.must(
        "run", "--detach", "--name", made.name, "--publish", "127.0.0.1::5000",
        f"--volume={afar.TLS}:/tls:ro", "--entrypoint", "/usr/bin/tini", "--cap-add=NET_ADMIN", built,
        "--", "sh", "-c", afar.START,
    )  # fmt: skip
    try:
        until(lambda: made.exec("etcdctl", "endpoint", "health").code == 0, "etcd")
        until(lambda: made.exec("bash", "-c", "</dev/tcp/127.0.0.1/5000").code == 0, "a registry")
        yield made
    finally:
        made.remove()


@pytest.fixture
def publisher(servers, tmp_path):
    return afar.Publisher(servers, tmp_path)


@pytest.fixture
def agent(container, servers, publisher):
    """A function that starts a container with the servers' network and the publisher's key."""

    def start(source, *command, **variables):
        values = {
            "CONVERGE_PROFILE": URLS.get(source, source), "CONVERGE_CA_FILE": "/tls/ca.pem",
            "CONVERGE_KEYS": publisher.key.public.text, "CONVERGE_BUNDLE_NAME": "web", **variables,
        }  # fmt: skip
        environment = [f"--env={name}={value}" for name, value in values.items()]
        return container(
            f"--network=container:{servers.name}", f"--volume={afar.TLS}:/tls:ro", *environment,
            command=command or ("sleep", "infinity"),
        )  # fmt: skip

    return start


@pytest.fixture
def publish(publisher, engine):
    """A function that puts a name server's address at a source."""

    def put(source, address, sequence, **options):
        bundle = publisher.make(afar.resolver(address), sequence, **options)
        if source == "https":
            publisher.to_nginx(bundle)
        elif source == "etcd":
            publisher.to_etcd(bundle)
        else:
            publisher.to_registry(bundle, engine)

    return put


def name_server(box):
    return box.read("/etc/ns.conf").split()[1]


def watchers(box):
    return [one for one in processes(box) if "etcd_watch" in one.line]


@pytest.mark.parametrize("source", URLS)
def test_a_change_is_followed_and_what_is_wrong_is_not(agent, publish, source):
    publish(source, "10.0.0.1", 1)
    box = agent(source)
    assert box.report("--once")["counts"]["changed"] == 1
    assert name_server(box) == "10.0.0.1"
    assert box.report("--once")["counts"]["changed"] == 0
    publish(source, "10.0.0.2", 2)
    assert box.report("--once")["bundle"]["sequence"] == 2
    assert name_server(box) == "10.0.0.2"
    publish(source, "6.6.6.6", 3, key=minisign.generate())
    report = box.report("--once")
    assert "0 of 1 signatures" in report["bundle"]["error"]
    assert report["exit_code"] == 0
    publish(source, "6.6.6.6", 1)
    assert "rollback" in box.report("--once")["bundle"]["error"]
    assert name_server(box) == "10.0.0.2"
    publish(source, "10.0.0.4", 4)
    assert box.report("--once")["bundle"]["stale_since"] is None
    assert name_server(box) == "10.0.0.4"


def test_a_304_brings_no_body(agent, publish, servers):
    publish("https", "10.0.0.1", 1)
    box = agent("https")
    box.report("--once")
    servers.exec("sh", "-c", ": > /srv/access.log")
    box.report("--once")
    lines = servers.read("/srv/access.log").splitlines()
    assert [line.split('"')[2].split()[:2] for line in lines] == [["304", "0"]]


def test_a_profile_alone_and_an_artifact_by_digest(agent, publisher, servers, engine):
    text = '{"resources": [{"file": "/etc/ns.conf", "content": "nameserver 10.0.0.9\\n"}]}'
    stated = afar.Statement(name="web", sequence=1, expires=afar.EXPIRES)
    servers.write("/srv/alone.yaml", text)
    servers.write(
        "/srv/alone.yaml.minisig", minisign.sign(publisher.key, text.encode(), str(stated))
    )
    box = agent("https://localhost/alone.yaml")
    box.report("--once")
    assert name_server(box) == "10.0.0.9"
    publisher.to_registry(publisher.make(afar.resolver("10.0.0.8"), 2), engine, "pinned")
    url = box.report("--once", "--profile", "oci://localhost:5000/ops/web:pinned")["bundle"]
    assert name_server(box) == "10.0.0.8"
    manifest = servers.exec(
        "/opt/converge/bin/python", "-c",
        "import urllib.request as u; r = u.Request('http://localhost:5000/v2/ops/web/manifests/pinned',"
        " headers={'Accept': 'application/vnd.oci.image.manifest.v1+json'});"
        "print(u.urlopen(r).headers['Docker-Content-Digest'])",
    )  # fmt: skip
    pinned = f"oci://localhost:5000/ops/web@{manifest.out.strip()}"
    assert box.report("--once", "--profile", pinned)["bundle"]["digest"] == url["digest"]


def test_the_certificate_must_be_right(agent, publish):
    publish("https", "10.0.0.1", 1)
    box = agent("https", CONVERGE_CA_FILE="/etc/ssl/certs/ca-certificates.crt")
    done = box.converge("--once")
    assert done.code == 1
    assert "certificate is not accepted" in done.err
    other = box.converge("--once", "--profile", "https://127.0.0.1/web.tar.gz")
    assert other.code == 1


def test_a_watch_follows_at_once_and_survives_its_server(agent, publish, servers):
    publish("etcd", "10.0.0.1", 1)
    box = agent("etcd", "converge")
    until(lambda: is_idle(box) and name_server(box) == "10.0.0.1", "the first run")
    until(lambda: watchers(box), "a watcher")
    runs = agent_says(box)["runs"]
    publish("etcd", "10.0.0.2", 2)
    until(lambda: name_server(box) == "10.0.0.2", "the change")
    assert agent_says(box)["runs"] > runs
    assert agent_says(box)["next"] > 60, "it was the watch, not the timer"
    publish("etcd", "6.6.6.6", 3, key=minisign.generate())
    until(lambda: "0 of 1" in box.logs().err + box.logs().out, "a word about the wrong key")
    settled = agent_says(box)["runs"]
    publish("etcd", "10.0.0.5", 5)
    until(lambda: name_server(box) == "10.0.0.5", "the next change")
    assert agent_says(box)["runs"] <= settled + 6, "what is wrong is not asked for again and again"
    until(lambda: watchers(box), "a watcher, after the pause that hasty news bring")
    (watcher,) = watchers(box)
    assert box.exec("sh", "-c", f"kill -9 {watcher.pid}").code == 0
    publish("etcd", "10.0.0.6", 6)
    until(lambda: name_server(box) == "10.0.0.6", "a change after the watcher's death")


DROPS = {
    "refused": ("-j", "REJECT", "--reject-with", "icmp-port-unreachable"),
    "reset": ("-j", "REJECT", "--reject-with", "tcp-reset"),
}


@pytest.fixture
def firewall(servers):
    """A function that puts a rule before packets to the web server; it goes with the test."""
    put = []

    def rule(*words):
        put.append(("OUTPUT", "-o", "lo", "-p", "tcp", "--dport", "443", *words))
        done = servers.exec("iptables", "-A", *put[-1])
        assert done.code == 0, done.err

    yield rule
    for one in put:
        servers.exec("iptables", "-D", *one)


@pytest.mark.parametrize("how", DROPS)
def test_f39_a_server_that_packets_do_not_reach(agent, publish, firewall, how):
    publish("https", "10.0.0.1", 1)
    box = agent("https")
    box.report("--once")
    firewall(*DROPS[how])
    box.write("/etc/ns.conf", "drift")
    report = box.report("--once")
    assert report["exit_code"] == 0
    assert "cannot be reached" in report["bundle"]["error"]
    assert name_server(box) == "10.0.0.1"


def test_f43_three_packets_in_ten_are_lost(agent, publish, firewall):
    publish("https", "10.0.0.1", 1)
    box = agent("https")
    firewall("-m", "statistic", "--mode", "random", "--probability", "0.3", "-j", "DROP")
    until(lambda: box.converge("--once").code == 0, "a run that got through")
    publish("https", "10.0.0.2", 2)
    until(lambda: box.converge("--once").code == 0 and name_server(box) == "10.0.0.2", "the change")
