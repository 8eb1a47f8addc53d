"""The profile `logging`: a real rsyslogd sends to another one across the containers' network."""

from __future__ import annotations

import pytest

from container.engine import REPOSITORY, Container
from container.resident import is_idle, until

TLS = REPOSITORY / "tests/unit/tls"
LOG = "/srv/received"
# Where each protocol arrives, written as a receiver would: HOST PROGRAM MESSAGE.
SERVER = f"""
global(workDirectory="/tmp" defaultNetstreamDriverCAFile="/tls/ca.pem"
       defaultNetstreamDriverCertFile="/tls/server.pem" defaultNetstreamDriverKeyFile="/tls/server.key")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
module(load="imptcp")
module(load="imudp")
module(load="imrelp")
template(name="plain" type="string" string="%HOSTNAME% %programname%%msg:::sp-if-no-1st-sp%%msg%\\n")
input(type="imptcp" port="514")
input(type="imudp" port="514")
input(type="imtcp" port="6514")
input(type="imrelp" port="20514")
input(type="imrelp" port="20515" tls="on" tls.caCert="/tls/ca.pem" tls.myCert="/tls/server.pem"
      tls.myPrivKey="/tls/server.key" tls.authMode="name" tls.permittedPeer=["*"])
action(type="omfile" file="{LOG}" template="plain")
"""


class Server:
    """A container with an rsyslogd that receives."""

    def __init__(self, box):
        self.box = box
        box.write("/srv/rsyslog.conf", SERVER)
        self.address = box.exec("hostname", "-i").out.split()[0]
        self.start()

    def start(self):
        done = self.box.exec("rsyslogd", "-f", "/srv/rsyslog.conf", "-i", "/run/received.pid")
        assert (done.code, done.err) == (0, "")

    def stop(self):
        stop = (
            "pid=$(cat /run/received.pid); kill $pid; while [ -d /proc/$pid ]; do sleep 0.1; done"
        )
        assert self.box.exec("sh", "-c", stop).code == 0

    def lines(self, word=""):
        """Return what has arrived and has a word in it."""
        got = self.box.exec("cat", LOG).out.splitlines()
        return [line for line in got if word in line]

    def until_it_has(self, *texts):
        """Wait until each text is at the end of a line that has arrived."""
        until(lambda: all(any(x.endswith(t) for x in self.lines()) for t in texts), str(texts))


@pytest.fixture(scope="module")
def server(engine, programs_image, tmp_path_factory):
    box = Container(engine, tmp_path_factory.mktemp("server") / "profile.yaml")
    options = ("--detach", "--name", box.name, f"--volume={TLS}:/tls:ro", "--entrypoint", "tini")
    engine.must("run", *options, programs_image, "--", "sleep", "infinity")
    yield Server(box)
    box.remove()


@pytest.fixture
def client(container, programs_image):
    """A function that starts a client; its profile is a site's."""

    def start(*options, **given):
        return container(
            "--network=bridge", "--hostname=web-1", f"--volume={TLS}:/tls:ro", *options,
            image=programs_image, profile=site(**given),
        )  # fmt: skip

    return start


def site(**given):
    """Return a site's profile."""
    return {"include": ["profiles/logging.yaml"], "vars": {"log_retry_seconds": 1, **given}}


def log(box, text, *options):
    """Log as programs do."""
    done = box.exec("logger", *options, "--tag", "app", text)
    assert (done.code, done.err) == (0, "")


def converge(box):
    """Converge, and once more: the second run finds nothing to do."""
    first = box.report("--once")
    assert first["counts"]["failed"] == first["counts"]["unmanageable"] == 0, first["resources"]
    again = box.report("--once")
    assert again["counts"]["changed"] == 0
    assert again["refreshed"] == []
    return first


def test_messages_arrive_also_those_that_were_sent_while_the_server_was_away(server, client):
    box = client(log_server=server.address)
    converge(box)
    log(box, "first")
    server.until_it_has("web-1 app first")

    server.stop()
    for text in ("second", "third", "fourth"):
        log(box, text)
    until(lambda: "suspended" in box.read("/var/log/syslog"), "the server's absence")
    assert not server.lines("second")
    server.start()
    server.until_it_has("web-1 app second", "web-1 app third", "web-1 app fourth")


def test_what_is_queued_survives_a_restart(server, client):
    box = client(log_server=server.address, log_protocol="relp")
    converge(box)
    log(box, "begun")
    server.until_it_has("web-1 app begun")
    server.stop()
    log(box, "the one that it is trying to send")
    until(lambda: "suspended" in box.read("/var/log/syslog"), "the server's absence")
    log(box, "in the queue")
    until(lambda: "in the queue" in box.read("/var/log/syslog"), "the message")
    box.profile(site(log_server=server.address, log_protocol="relp", log_hostname="shop"))
    assert box.report("--once")["refreshed"] == ["service:rsyslogd"]
    log(box, "after the restart")
    assert "forward.00000001" in box.exec("ls", "/var/spool/rsyslog").out
    server.start()
    server.until_it_has("web-1 app in the queue", "shop app after the restart")


@pytest.mark.parametrize(
    "given",
    [
        {"log_protocol": "relp"},
        {"log_protocol": "udp"},
        {"log_tls": True, "log_tls_ca": "/tls/ca.pem", "log_tls_name": "localhost"},
        {
            "log_protocol": "relp", "log_port": 20515, "log_tls": True, "log_tls_ca": "/tls/ca.pem",
            "log_tls_name": "localhost", "log_tls_certificate": "/tls/client.pem",
            "log_tls_key": "/tls/client.key",
        },
    ],
    ids=lambda given: "-".join(map(str, given.values())).replace("/", ""),
)  # fmt: skip
def test_other_protocols(server, client, given, request):
    box = client(log_server=server.address, **given)
    converge(box)
    log(box, request.node.name)
    server.until_it_has(f"web-1 app {request.node.name}")


def test_a_server_with_another_name_in_its_certificate_gets_nothing(server, client):
    tls = {"log_tls": True, "log_tls_ca": "/tls/ca.pem", "log_tls_name": "elsewhere"}
    box = client(log_server=server.address, **tls)
    converge(box)
    log(box, "for your eyes only")
    until(lambda: "not permitted to talk to" in box.exec("cat", "/var/log/syslog").out, "a refusal")
    assert not server.lines("for your eyes only")


def test_the_agents_own_lines_and_those_of_followed_files_and_a_selector(server, client):
    box = client(
        "--env=CONVERGE_LOG_TO=syslog", "--env=CONVERGE_RESIDENT=1", log_server=server.address,
        log_follow={"/srv/*.log": "shop"}, log_forward="daemon.*;local0.*", log_hostname="agent-1",
    )  # fmt: skip
    box.exec("sh", "-c", "converge >/dev/null 2>&1 &")
    until(lambda: is_idle(box), "an agent that answers")
    assert box.exec("sh", "-c", "echo sold >>/srv/today.log; logger user").code == 0
    server.until_it_has("agent-1 shop sold")
    box.exec("chmod", "600", "/etc/logrotate.d/rsyslog")
    until(lambda: server.lines("outcome=changed action=change fields=mode"), "the repair's line")
    (line,) = server.lines("outcome=changed action=change fields=mode")
    assert line.startswith("agent-1 converge time=20")
    assert "resource=file:/etc/logrotate.d/rsyslog" in line
    assert not server.lines("agent-1 root")


def test_its_files_are_rotated_and_written_anew(client):
    box = client(log_rotate_size=10)
    converge(box)
    log(box, "before")
    log(box, "secret", "--priority", "auth.info")
    until(lambda: "before" in box.exec("cat", "/var/log/syslog").out, "the message")
    assert box.exec("logrotate", "/etc/logrotate.conf").code == 0
    log(box, "after")
    until(lambda: "after" in box.exec("cat", "/var/log/syslog").out, "the message")
    assert "before" not in box.read("/var/log/syslog")
    old = box.read("/var/log/syslog.1")
    assert "before" in old
    assert "secret" not in old
    assert "secret" in box.read("/var/log/auth.log.1")
    assert box.stat("/var/log/syslog") == box.stat("/var/log/syslog.1") == "640 root:adm"


def test_nothing_is_kept_here_and_nothing_is_sent(client):
    box = client(log_files={})
    converge(box)
    log(box, "lost")
    assert box.exec("logrotate", "/etc/logrotate.conf").code == 0
    assert "forward" not in box.read("/etc/rsyslog.conf")


def test_rsyslogd_that_died_is_started_again(client):
    box = client()
    converge(box)
    box.exec("sh", "-c", "kill -9 $(cat /run/rsyslogd.pid)")
    report = box.report("--once")
    assert [(one["id"], one["outcome"]) for one in report["resources"]] == [
        ("service:rsyslogd", "changed")
    ]
    log(box, "again")


def test_what_a_container_does_not_allow_is_a_warning(client):
    report = client("--user=33").report("--once")
    found = {one["id"]: one["outcome"] for one in report["resources"]}
    assert (report["exit_code"], set(found.values())) == (0, {"unmanageable"}), report["resources"]
    assert len(found) == 5
    report = client("--read-only").report("--once")
    found = {one["id"] for one in report["resources"] if one["outcome"] == "unmanageable"}
    assert (report["exit_code"], len(found)) == (0, 3), report["resources"]


@pytest.mark.slow
def test_a_fresh_container_gets_the_packages(container, server):
    box = container("--network=bridge", profile=site(log_server=server.address))
    converge(box)
    log(box, "from a fresh container")
    server.until_it_has("app from a fresh container")


def test_a_wrong_protocol_is_told_before_anything_is_done(client):
    done = client(log_protocol="tls").converge("--once")
    assert done.code == 1
    assert "log_protocol is tcp, relp or udp, and not tls" in done.err
