"""The language in a real container: layers, facts, `for_each`, `assert` and what explains them."""

from __future__ import annotations

import pytest

from container.resident import agents, is_idle, until

CONF = "/etc/converge"
PROFILE = """
profile: web
include: [base.yaml]
vars:
  role: web
  users: {alice: {shell: /bin/bash}, bob: {}}
layers:
  - hosts/{{ facts.hostname }}.yaml
  - roles/{{ role }}.yaml
merge: {nameservers: unique, limits: deep}
assert:
  - that: facts.memory.limit >= 64 * 1024 * 1024
    message: web needs 64 MiB of memory
  - that: role in ('web', 'db')
    message: the role is {{ role }}, which is none of ours
resources:
  - file: /etc/site.conf
    content: |
      {{ nameservers | join(' ') }}
      {{ limits | to_json }}
      {{ motd }} in {{ facts.custom.site.name }}, rack {{ facts.custom.rack.number }}
  - file: /etc/users.conf
    template: users.j2
  - user: "{{ key }}"
    for_each: users
    shell: "{{ item.shell | default('/usr/sbin/nologin') }}"
"""
FILES = {
    "profile.yaml": PROFILE,
    "base.yaml": "vars: {nameservers: [10.0.0.1], limits: {nofile: 1, nproc: 1}, motd: hello}\n",
    "users.j2": "{% for name in users %}\n{{ name }}\n{% endfor %}\n",
    "roles/web.yaml": "nameservers: [10.0.0.2]\nlimits: {nofile: 2}\n",
    "facts.d/site.yaml": "name: vienna\n",
    "facts.d/rack": '#!/bin/sh\nprintf \'{"number": %s}\' "$(cat /run/rack)"\n',
}


@pytest.fixture
def box(container):
    """A container with limits, a profile, its layers and custom facts; the host name is `one`."""
    made = container("--hostname=one", "--memory=128m", "--pids-limit=77")
    assert made.exec("mkdir", "-p", f"{CONF}/roles", f"{CONF}/hosts", f"{CONF}/facts.d").code == 0
    for name, text in FILES.items():
        made.write(f"{CONF}/{name}", text)
    assert made.exec("chmod", "755", f"{CONF}/facts.d/rack").code == 0
    made.write("/run/rack", "4")
    return made


def outcomes(report):
    return {one["id"]: one["outcome"] for one in report["resources"]}


def test_a_profile_of_all_this_converges_and_follows_what_it_is_made_of(box):
    first = box.report("--once")
    assert set(outcomes(first).values()) == {"changed"}, first["resources"]
    assert box.read("/etc/site.conf").splitlines() == [
        "10.0.0.2 10.0.0.1",
        '{"nofile": 2, "nproc": 1}',
        "hello in vienna, rack 4",
    ]
    assert box.read("/etc/users.conf") == "alice\nbob\n"
    shells = {line.split(":")[0]: line.strip().split(":")[6] for line in
              box.read("/etc/passwd").splitlines()}  # fmt: skip
    assert (shells["alice"], shells["bob"]) == ("/bin/bash", "/usr/sbin/nologin")
    assert box.report("--once")["counts"]["changed"] == 0

    box.write(f"{CONF}/hosts/one.yaml", "motd: good day\n")  # a layer appears
    box.write("/run/rack", "5")  # a fact changes
    box.report("--once")
    assert box.read("/etc/site.conf").splitlines()[2] == "good day in vienna, rack 5"
    assert box.report("--once")["counts"]["changed"] == 0
    assert box.exec("rm", f"{CONF}/hosts/one.yaml").code == 0
    box.report("--once")
    assert box.read("/etc/site.conf").splitlines()[2] == "hello in vienna, rack 5"

    told = box.converge("explain", "var:nameservers", "--json").json
    assert [(one["source"], one["place"]) for one in told["origins"]] == [
        ("layer", f"{CONF}/roles/web.yaml:1"),
        ("include", f"{CONF}/base.yaml:1"),
    ]
    assert told["used_by"] == [{"id": "file:/etc/site.conf", "attributes": ["content"]}]
    told = box.converge("explain", "file:/etc/site.conf", "content", env={"CONVERGE_VAR_motd": "x"})
    assert "    from environment CONVERGE_VAR_motd: x\n" in told.out
    assert f"    overrides included file {CONF}/base.yaml:1: hello\n" in told.out


def test_what_a_profile_needs_and_does_not_have_touches_nothing(box):
    done = box.converge("--once", "--var", "role=mail")
    assert done.code == 1
    said, end = done.err.splitlines()
    assert said.startswith(f"{CONF}/profile.yaml:14:5: the role is mail, which is none of ours (")
    assert end == "converge: 1 problem; nothing was touched"
    assert box.exec("test", "-e", "/etc/site.conf").code == 1
    assert box.exec("grep", "alice", "/etc/passwd").code == 1

    box.write(f"{CONF}/facts.d/rack", "#!/bin/sh\necho no rack >&2; exit 3\n")
    done = box.converge("--once")
    assert done.code == 1
    assert f"the fact `custom.rack` of {CONF}/facts.d/rack: rack: exit 3: no rack" in done.err
    assert box.exec("chmod", "777", f"{CONF}/facts.d/rack").code == 0
    assert "can be changed by group and others" in box.converge("--once").err
    assert box.exec("test", "-e", "/etc/site.conf").code == 1


def test_facts_tell_the_limits_of_the_container(box):
    found = box.converge("facts", "--json").json
    assert found["hostname"] == "one"
    assert found["memory"]["limit"] == 128 << 20 < found["memory"]["total"]
    assert found["processes"]["limit"] == 77
    assert found["cgroup"]["version"] in (1, 2)
    assert found["os"]["id"] == "debian"
    assert "CAP_SYS_ADMIN" not in found["capabilities"]
    assert found["container"]["pid_1"] == "tini"
    assert found["container"]["read_only_root"] is False
    assert "/proc" in [mount["path"] for mount in found["mounts"]]
    assert found["network"]["default_interface"] is None
    assert found["custom"] == {"site": {"name": "vienna"}, "rack": {"number": 4}}
    assert set(found["environment"].values()) == {"[hidden]"}


def test_the_resident_agent_follows_a_layer_that_appears_and_vanishes(box):
    started = box.exec("sh", "-c", "converge >/dev/null 2>&1 &")
    assert started.code == 0
    until(lambda: is_idle(box), "an agent that answers")
    assert "hello in" in box.read("/etc/site.conf")
    box.write(f"{CONF}/hosts/one.yaml", "motd: good day\n")
    until(lambda: "good day in" in box.read("/etc/site.conf"), "the new layer's word")
    until(lambda: is_idle(box), "the end of the run")
    box.write(f"{CONF}/facts.d/site.yaml", "name: graz\n")
    until(lambda: "in graz" in box.read("/etc/site.conf"), "the new fact")
    until(lambda: is_idle(box), "the end of the run")
    box.write(f"{CONF}/users.j2", "{{ users | length }} users\n")
    until(lambda: "2 users" in box.read("/etc/users.conf"), "the new template")
    until(lambda: is_idle(box), "the end of the run")
    assert box.exec("rm", f"{CONF}/hosts/one.yaml").code == 0
    until(lambda: "hello in" in box.read("/etc/site.conf"), "the word without that layer")
    assert len(agents(box)) == 1
