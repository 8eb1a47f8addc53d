"""One canary in every place where a secret may be, and a look into every place where it must not."""

from __future__ import annotations

import json

import pytest

from container.resident import until

CANARY = "c4n4ry"
VALUE = f"{CANARY}-of-the-coal-mine"
HASH = "$6$" + CANARY + "salt$" + "x" * 86
TOKEN = {"env": "CANARY"}
FILE = {"file": "/run/secrets/canary"}
PRINTS = 'cat; echo "$TOKEN"; echo "got $TOKEN" >&2; exit 1'
PROFILE = {
    "resources": [
        {"file": "/srv/from-env", "content": TOKEN},
        {"file": "/srv/from-file", "content": FILE, "show_diff": True},
        {"file": "/srv/from-program", "content": {"command": "cat /run/secrets/canary"}},
        {
            "file": ["/srv/templated", "/etc/hostname"],
            "content": "password = {{ secrets.password }}\n",
            "secrets": {"password": FILE},
            "mode": "0644",
        },
        {
            "file": "/srv/refused",
            "content": "password = {{ secrets.password }}\n",
            "secrets": {"password": TOKEN},
            "validate": ["/bin/sh", "-c", 'cat "$1"; cat "$1" >&2; exit 1', "sh", "%"],
        },
        {"file": "/srv/none", "content": {"command": ["sh", "-c", "cat /run/secrets/*; exit 1"]}},
        {"file": "/srv/gone", "content": {"env": "GONE"}},
        {"user": "deploy", "password": {"file": "/run/secrets/hash"}},
        {"user": "plain", "password": TOKEN},
        {
            "command": "fails",
            "argv": ["sh", "-c", PRINTS],
            "creates": "/srv/fails",
            "env": {"TOKEN": TOKEN},
            "stdin": FILE,
        },
        {
            "command": "guarded",
            "argv": ["true"],
            "unless": ["sh", "-c", PRINTS],
            "env": {"TOKEN": TOKEN},
        },
        {
            "command": "beats",
            "argv": ["sh", "-c", PRINTS],
            "always": True,
            "env": {"TOKEN": TOKEN},
        },
    ]
}
FAILED = {
    "/srv/refused": "sh: exit 1: password = [secret]",
    "/srv/none": "the secret command: sh: exit 1",
    "/srv/gone": "the secret env: GONE is not in the agent's environment",
    "plain": "the secret in `password`: this is no crypt(5) hash",
    "fails": "sh: exit 1: got [secret]",
    "guarded": "still differs: due (`unless` exit 1)",
    "beats": "refresh failed: sh: exit 1: got [secret]",
}
WRITTEN = {
    "/srv/from-env", "/srv/from-file", "/srv/from-program", "/srv/templated", "/etc/hostname",
    "/etc/shadow",
}  # fmt: skip


@pytest.fixture
def box(container, strace_image, tmp_path):
    for name, text in (("canary", VALUE + "\n"), ("hash", HASH)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o400)
    return container(
        f"--volume={tmp_path}/canary:/run/secrets/canary",
        f"--volume={tmp_path}/hash:/run/secrets/hash:ro",
        f"--env=CANARY={VALUE}", "--env=CONVERGE_REPORT_TO=file:/srv", "--cap-add=SYS_PTRACE",
        profile=PROFILE, image=strace_image,
    )  # fmt: skip


def quiet(done):
    """Return what a program printed, which must not hold the canary."""
    text = done.out + done.err
    assert CANARY not in text, text
    return text


def holding(box):
    """Return the files inside that hold the canary, the kernel's and the secrets' own apart."""
    found = box.exec(
        "grep", "-rlsI", CANARY, "/etc", "/srv", "/var", "/run", "/tmp", "/root", "/home"
    )
    return {path for path in found.out.split() if not path.startswith("/run/secrets/")}


def test_a_canary_is_nowhere_but_where_it_was_sent(box):
    quiet(box.converge("validate"))
    assert "would change" in quiet(box.converge("plan"))
    assert holding(box) == set()

    log = "/dev/shm/execve"
    traced = ("strace", "-f", "-qq", "-v", "-s", "65536", "-o", log, "-e", "trace=execve")
    quiet(box.exec(*traced, "/opt/converge/bin/converge", "--once", "--verbose"))
    children = [line for line in box.read(log).splitlines() if CANARY in line]
    agent, *others = children
    assert "/opt/converge/bin/converge" in agent  # its own environment, as it was given
    assert others  # whose commands ask for it, and what these start
    for line in others:
        assert "TOKEN=" + VALUE in line
        assert line.count(CANARY) == 1
    box.exec("rm", log)

    done = box.converge("--once", "--json")
    quiet(done)
    reasons = {one["id"].partition(":")[2]: one["reason"] for one in done.json["resources"]}
    assert reasons.keys() == FAILED.keys()
    for name, words in FAILED.items():
        assert reasons[name].startswith(words), reasons[name]
    assert box.read("/srv/from-file") == VALUE + "\n"
    assert box.read("/srv/templated") == f"password = {VALUE}\n"
    assert box.stat("/srv/from-file") == "600 root:root"
    assert box.exec("grep", "-c", f"^deploy:{HASH.replace('$', '.')}:", "/etc/shadow").out == "1\n"

    box.exec("sh", "-c", "echo drift | tee /srv/from-env /srv/templated /etc/hostname")
    for arguments in (("plan",), ("plan", "--json"), ("--once",), ("--once", "--json")):
        quiet(box.converge(*arguments))
    for name in reasons.keys() | {"/srv/from-env", "deploy"}:
        kind = (
            "file" if name.startswith("/") else "user" if name in ("deploy", "plain") else "command"
        )
        quiet(box.converge("explain", f"{kind}:{name}"))
        quiet(box.converge("explain", f"{kind}:{name}", "--json"))
    for arguments in (("status",), ("status", "--json"), ("health",), ("facts",)):
        quiet(box.converge(*arguments))
    backups = {path for path in holding(box) if path.startswith("/var/lib/converge/backups/")}
    assert holding(box) - backups == WRITTEN


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_the_resident_agent_says_nothing_of_it_and_follows_the_file(box, tmp_path, form):
    start = 'converge --log-format "$1" --metrics-listen unix:/srv/metrics >/srv/log 2>&1 &'
    box.exec("sh", "-c", start, "sh", form)
    until(lambda: box.converge("status").code == 0, "a first run")
    quiet(box.converge("trigger", "--wait"))
    (tmp_path / "canary").chmod(0o600)
    (tmp_path / "canary").write_text(f"another {CANARY}\n")
    until(lambda: "another" in box.read("/srv/templated"), "the new secret")
    assert box.read("/srv/from-file") == f"another {CANARY}\n"
    socket = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect({!r}); s.send({!r})\n"
        "while data := s.recv(65536): print(data.decode())"
    )
    for path, words in (
        ("/srv/metrics", b"GET /metrics HTTP/1.0\r\n\r\n"), ("/run/converge/control.sock", b"status\n"),
    ):  # fmt: skip
        done = box.exec("/opt/converge/bin/python", "-c", socket.format(path, words))
        assert quiet(done), done
    quiet(box.converge("status", "--json"))
    log = box.read("/srv/log")
    assert CANARY not in log
    assert "[secret]" in log
    assert "/srv/log" not in holding(box)
    assert json.loads(log.splitlines()[-1]) if form == "json" else True


def test_a_user_that_is_not_root_can_have_secrets_too(container, tmp_path):
    (tmp_path / "canary").write_text(VALUE)
    (tmp_path / "canary").chmod(0o444)
    profile = {"resources": [{"file": "/tmp/x", "content": FILE}]}
    box = container(
        "--user=1000:1000", "--cap-drop=ALL", f"--volume={tmp_path}/canary:/run/secrets/canary:ro",
        profile=profile,
    )  # fmt: skip
    assert box.report("--once")["exit_code"] == 0
    assert box.read("/tmp/x") == VALUE
    assert box.report("plan")["exit_code"] == 0
