"""The kinds that manage parts of files, with the programs that read these files."""

from __future__ import annotations

import pytest

SSHD = "/etc/ssh/sshd_config"


@pytest.fixture(scope="module")
def programs(engine, image):
    """The image with sshd and nginx, whose configuration is edited."""
    packages = "openssh-server nginx-light"
    install = f"apt-get install -y --no-install-recommends {packages}"
    lines = (
        f"FROM {image}",
        "ENV DEBIAN_FRONTEND=noninteractive",
        f"RUN apt-get update && {install} && mkdir -p /run/sshd",
    )
    return engine.build("-", stdin="\n".join(lines))


def outcomes(report):
    return {one["id"]: one["outcome"] for one in report["resources"]}


def sshd(title, **declared):
    return {"line": title, "path": SSHD, "validate": "/usr/sbin/sshd -t -f %", **declared}


def test_lines_of_sshd(container, programs):
    """sshd itself tells what it makes of the file; what it refuses changes nothing."""
    root = sshd("root", regexp=r"^#?\s*PermitRootLogin\b", content="PermitRootLogin no")
    port = sshd("port", regexp=r"^#?(Port)\s+\d+", content=r"\1 2222", backrefs=True)
    gone = sshd("no sftp", regexp=r"^Subsystem\s+sftp", state="absent")
    box = container(image=programs, profile={"resources": [root, port, gone]})
    before = box.read(SSHD)
    report = box.report("--once")
    assert set(outcomes(report).values()) == {"changed"}
    seen = box.exec("/usr/sbin/sshd", "-T").out.split("\n")
    assert {"permitrootlogin no", "port 2222"} <= set(seen)
    assert not [line for line in seen if line.startswith("subsystem")]
    kept = set(box.read(SSHD).split("\n")) & set(before.split("\n"))
    assert len(set(before.split("\n")) - kept) == 3
    assert "-#PermitRootLogin prohibit-password" in report["resources"][0]["diff"]
    assert box.report("--once", "--noop")["counts"]["in_sync"] == 3

    good = box.read(SSHD)
    bad = sshd("bad", regexp="^Port", content="Port many")
    box.profile({"resources": [bad]})
    report = box.report("--once")
    assert outcomes(report) == {"line:bad": "failed"}
    assert "Badly formatted port number" in report["resources"][0]["reason"]
    assert box.read(SSHD) == good


def test_lines_of_mounts(container):
    """/etc/hosts and /etc/resolv.conf are the engine's mounts: written in place, read by libc."""
    hosts = {"line": "host", "path": "/etc/hosts", "regexp": r"\bdb\.example\b"}
    hosts["content"] = "192.0.2.7 db.example"
    search = {"line": "search", "path": "/etc/resolv.conf", "regexp": "^search\\b"}
    search |= {"content": "search example.org", "insertbefore": "^nameserver"}
    box = container("--network", "bridge", profile={"resources": [hosts, search]})
    before = {path: box.stat(path, "%d:%i %a") for path in ("/etc/hosts", "/etc/resolv.conf")}
    report = box.report("--once")
    assert outcomes(report) == {"line:host": "changed", "line:search": "changed"}
    assert [one["in_place"] for one in report["resources"]] == [True, True]
    assert {path: box.stat(path, "%d:%i %a") for path in before} == before
    assert box.exec("getent", "hosts", "db.example").out.split() == ["192.0.2.7", "db.example"]
    lines = box.read("/etc/resolv.conf").split("\n")
    assert "search example.org" in lines
    assert box.report("--once")["counts"]["in_sync"] == 2


def test_a_pattern_cannot_hang_a_run(container):
    evil = {"line": "evil", "path": "/etc/a", "regexp": "(a+)+$", "content": "b"}
    fine = {"line": "fine", "path": "/etc/a", "content": "fine"}
    box = container(profile={"resources": [evil, fine]})
    box.write("/etc/a", "a" * 50 + "b\n")
    report = box.report("--once")
    assert outcomes(report) == {"line:evil": "unmanageable", "line:fine": "changed"}
    assert "a pattern takes too long" in report["resources"][0]["reason"]


def test_blocks_of_nginx(container, programs):
    """nginx itself accepts the file or not; what it refuses changes nothing."""
    path = "/etc/nginx/nginx.conf"
    nginx = {"path": path, "validate": "/usr/sbin/nginx -t -c %", "insertafter": r"^http \{"}
    good = {"block": "vary", "content": "gzip_proxied any;\ngzip_vary on;\n", **nginx}
    box = container(image=programs, profile={"resources": [good]})
    assert outcomes(box.report("--once")) == {"block:vary": "changed"}
    assert box.exec("/usr/sbin/nginx", "-t").code == 0
    text = box.read(path)
    lines = text.split("\n")
    at = lines.index("# BEGIN converge: vary")
    assert lines[at - 1 : at + 4] == [
        "http {", "# BEGIN converge: vary", "gzip_proxied any;", "gzip_vary on;",
        "# END converge: vary",
    ]  # fmt: skip

    bad = {"block": "bad", "content": "gzip_types {;\n", **nginx}
    box.profile({"resources": [good, bad]})
    report = box.report("--once")
    assert outcomes(report) == {"block:bad": "failed"}
    assert "gzip_types" in report["resources"][0]["reason"]
    assert box.read(path) == text

    box.profile({"resources": [{**good, "state": "absent"}]})
    assert outcomes(box.report("--once")) == {"block:vary": "changed"}
    assert box.read(path) == text.replace("\n".join(lines[at : at + 4]) + "\n", "")


def test_keys_of_openssl_and_useradd(container):
    """A file of sections, and one of `key value`, as their programs read them."""
    name = {"ini": "name", "path": "/etc/ssl/openssl.cnf", "section": "req_distinguished_name"}
    name |= {"key": "0.organizationName_default", "value": "Example & Sons"}
    first = {"ini": "first uid", "path": "/etc/login.defs", "key": "UID_MIN", "value": 4321}
    first["separator"] = "\t"
    box = container(profile={"resources": [name, first]})
    before = {path: box.read(path) for path in (name["path"], first["path"])}
    report = box.report("--once")
    assert set(outcomes(report).values()) == {"changed"}
    fields = {one["id"]: one["fields"] for one in report["resources"]}
    assert fields["ini:first uid"] == [{"field": "value", "before": "1000", "after": "4321"}]
    request = ("req", "-new", "-newkey", "rsa:2048", "-nodes", "-batch", "-keyout", "/dev/null")
    made = box.exec("openssl", *request, "-text", "-noout", "-config", name["path"])
    assert "O = Example & Sons" in made.out, made
    assert box.exec("useradd", "--no-create-home", "newcomer").code == 0
    assert box.exec("id", "-u", "newcomer").out.strip() == "4321"
    for path, text in before.items():
        old, new = text.split("\n"), box.read(path).split("\n")
        assert len(old) == len(new)
        assert [a for a, b in zip(old, new, strict=True) if a != b] == [
            line for line in old if line.startswith(("0.organizationName_default", "UID_MIN"))
        ]
    assert box.report("--once")["counts"]["in_sync"] == 2


def test_values_of_json(container):
    """Two files that Python's own json reads: one that is there, one that is made."""
    policy = {"path": "/etc/app.json", "validate": "/opt/converge/bin/python -m json.tool %"}
    level = {"json": "level", "key": "log.level", "value": "debug", **policy}
    hosts = {"json": "hosts", "key": "/hosts", "value": ["b"], "exclusive": False, **policy}
    made = {"json": "made", "path": "/etc/new.json", "key": "", "value": {"a": [1, None]}}
    made |= {"create": True, "mode": "0640"}
    box = container(profile={"resources": [level, hosts, made]})
    text = '{\n   "log": {"level": "info",  "file": null},\n   "hosts": ["a"]\n}\n'
    box.write("/etc/app.json", text)
    assert set(outcomes(box.report("--once")).values()) == {"changed"}
    wanted = text.replace('"info"', '"debug"').replace('["a"]', '["a", "b"]')
    assert box.read("/etc/app.json") == wanted
    show = "import json; print(json.load(open('/etc/new.json')))"
    assert box.exec("/opt/converge/bin/python", "-c", show).out == "{'a': [1, None]}\n"
    assert box.stat("/etc/new.json", "%a") == "640"
    assert box.report("--once")["counts"]["in_sync"] == 3


def test_values_of_yaml(container):
    """A profile of converge's own is edited, and converge says whether it is a good one."""
    edit = {"path": "/srv/p.yaml", "validate": "/usr/local/bin/converge validate %"}
    value = {"yaml": "value", "key": "vars.greeting", "value": "no", **edit}
    more = {"yaml": "more", "key": "/vars/names", "value": ["b"], "exclusive": False, **edit}
    gone = {"yaml": "gone", "key": "/resources/0/mode", "state": "absent", **edit}
    text = (
        "# A profile\nprofile:   other   # with a comment\nvars:\n    greeting: 'yes'  # said\n"
        "    names:\n    - a\nresources:\n- file: /etc/motd\n  content: '{{ greeting }}'\n"
        '  mode: "0644"\n'
    )
    box = container(profile={"resources": [value, more, gone]})
    box.exec("mkdir", "-p", "/srv")
    box.write("/srv/p.yaml", text)
    report = box.report("--once")
    assert set(outcomes(report).values()) == {"changed"}, report
    wanted = text.replace("'yes'", "'no'").replace("- a\n", "- a\n    - b\n")
    assert box.read("/srv/p.yaml") == wanted.replace('  mode: "0644"\n', "")
    assert box.converge("--once", "--profile", "/srv/p.yaml").code == 0
    assert box.read("/etc/motd") == "no"

    box.profile({"resources": [{**value, "key": "resources", "value": "none"}]})
    report = box.report("--once")
    assert outcomes(report) == {"yaml:value": "failed"}
    assert "resources" in report["resources"][0]["reason"]
    assert "'no'" in box.read("/srv/p.yaml")


def test_secrets_in_parts(container):
    """The value is in the files, and in nothing that converge says, saves or caches."""
    secrets = {"secrets": {"key": {"env": "API_KEY"}}, "create": True}
    text = "{{ secrets.key }}"
    parts = [
        {"line": "line", "path": "/srv/line", "content": f"key {text}", **secrets},
        {"ini": "ini", "path": "/srv/ini", "key": "key", "value": f"a{text}", **secrets},
        {"yaml": "yaml", "path": "/srv/yaml", "key": "a.b", "value": [text], **secrets},
    ]
    value = "c4n4ry-in-a-part"
    box = container("--env", f"API_KEY={value}", profile={"resources": parts})
    box.exec("mkdir", "-p", "/srv")
    shown = [box.converge(*words) for words in (["plan"], ["--once"], ["status", "--json"])]
    assert shown[1].code == 0, shown[1]
    assert value not in str(shown)
    assert box.read("/srv/line") == f"key {value}\n"
    assert box.read("/srv/ini") == f"key = a{value}\n"
    assert box.read("/srv/yaml") == f"a:\n  b:\n    - {value}\n"
    assert box.stat("/srv/yaml", "%a") == "600"
    assert box.exec("grep", "-r", "c4n4ry", "/var/lib/converge").code == 1
    assert box.report("--once")["counts"]["in_sync"] == 3
