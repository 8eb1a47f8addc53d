"""The kind `service` with real daemons that nobody supervises: nginx, rsyslogd, cron."""

from __future__ import annotations

import re

import pytest

from container.resident import agents, is_idle, processes, until, zombies

CRON = {"service": "cron", "start": "cron", "pidfile": "/run/crond.pid"}
NGINX = {
    "service": "nginx", "start": "nginx", "pidfile": "/run/nginx.pid", "process": "nginx",
    "notify_signal": "HUP", "stop_signal": "QUIT",
}  # fmt: skip
RSYSLOG = {"service": "rsyslogd", "start": "rsyslogd", "notify_signal": "HUP"}
TAIL = {"service": "tail", "start": "tail -f /dev/null", "background": True}
SITE = "server {{ listen 8080; location / {{ return 200 '{}'; }} }}\n"
FETCH = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080').read().decode())"
# What a daemon has from whoever started it.
SEEN = """
readlink /proc/$1/cwd; readlink /proc/$1/fd/* | sort -u; cat /proc/$1/oom_score_adj
grep -E '^(SigBlk|SigIgn|Uid|Gid|Groups)' /proc/$1/status | tr '\\t' ' '
tr '\\0' '\\n' </proc/$1/environ | sort; ps -o sid= -p $1
"""


@pytest.fixture
def box(container, programs_image):
    return container(image=programs_image, profile={"resources": []})


def run(box, *resources, **options):
    """Converge, and return the report."""
    box.profile({"resources": [*resources]})
    return box.report("--once", **options)


def outcomes(box, *resources):
    found = run(box, *resources)
    return {one["id"]: (one["outcome"], one["reason"]) for one in found["resources"]}


def of_program(box, name):
    """Return the processes whose command line begins with a word."""
    return [one for one in processes(box) if one.line.split(" ")[0].rpartition("/")[2] == name]


def daemon(box, name):
    """Return the one process of a program that is PID 1's child."""
    (found,) = [one for one in of_program(box, name) if one.parent == 1]
    return found


@pytest.mark.parametrize(
    ("service", "program"), [(CRON, "cron"), (NGINX, "nginx:"), (RSYSLOG, "rsyslogd")]
)
def test_a_daemon_is_started_found_killed_and_stopped(box, service, program):
    name = f"service:{service['service']}"
    assert outcomes(box, service) == {name: ("changed", "")}
    first = daemon(box, program)
    assert outcomes(box, service) == {}
    assert box.exec("sh", "-c", f"kill -9 -{first.pid}").code == 0
    until(lambda: not of_program(box, program), "the daemon's end")
    assert box.converge("plan").code == 2
    assert outcomes(box, service) == {name: ("changed", "")}
    assert daemon(box, program).pid != first.pid
    assert outcomes(box, {**service, "state": "stopped"}) == {name: ("changed", "")}
    assert not of_program(box, program)
    assert outcomes(box, {**service, "state": "stopped"}) == {}
    assert not zombies(box)


def test_a_reload_is_seen_by_the_daemon_and_what_was_just_started_is_not_reloaded(box):
    def site(text):
        file = {"file": "/etc/nginx/conf.d/site.conf", "content": SITE.format(text)}
        return run(box, {**file, "notify": "service:nginx"}, NGINX)["refreshed"]

    def answer():
        return box.exec("/opt/converge/bin/python", "-I", "-c", FETCH).out.strip()

    assert site("one") == []
    first = daemon(box, "nginx:").pid
    assert answer() == "one"
    assert site("two") == ["service:nginx"]
    until(lambda: answer() == "two", "the new answer")
    assert daemon(box, "nginx:").pid == first


def test_without_a_reload_it_is_restarted(box):
    file = {"file": "/etc/default/cron", "notify": "service:cron"}
    run(box, {**file, "content": "A=1\n"}, CRON)
    first = daemon(box, "cron").pid
    assert run(box, {**file, "content": "A=2\n"}, CRON)["refreshed"] == ["service:cron"]
    assert daemon(box, "cron").pid != first


def test_a_reload_by_a_program(box):
    service = {**NGINX, "reload": "/usr/sbin/nginx -s reload", "notify_signal": None}
    file = {"file": "/etc/nginx/conf.d/site.conf", "notify": "service:nginx"}
    run(box, {**file, "content": "# 1\n"}, service)
    workers = {one.pid for one in of_program(box, "nginx:") if one.parent != 1}
    assert run(box, {**file, "content": "# 2\n"}, service)["refreshed"] == ["service:nginx"]
    until(lambda: workers.isdisjoint(one.pid for one in of_program(box, "nginx:")), "new workers")


def test_a_signal_that_would_end_it_is_not_sent(box):
    service = {**TAIL, "notify_signal": "HUP"}
    run(box, service)
    file = {"file": "/etc/x", "content": "x", "notify": "service:tail"}
    reason = outcomes(box, file, service)["service:tail"][1]
    assert "does not handle SIGHUP, which would end it" in reason
    assert daemon(box, "tail")


@pytest.mark.parametrize("user", ["", "www-data"])
def test_what_is_started_has_nothing_of_the_agents(box, user):
    service = {**TAIL, "environment": {"A": "b"}, **({"user": user} if user else {})}
    # As the resident agent's worker: early to be killed, hangups ignored, a descriptor too many.
    box.profile({"resources": [service]})
    script = "echo 300 >/proc/self/oom_score_adj; trap '' HUP; exec 7</etc/passwd; converge --once"
    assert box.exec("sh", "-c", script).code == 0
    found = daemon(box, "tail")
    number = "33" if user else "0"
    ours = box.exec("grep", "Groups:", "/proc/self/status").out.replace("\t", " ").rstrip("\n")
    seen = box.exec("sh", "-c", SEEN, "sh", str(found.pid), user=number).out
    # The C library's own signals, 32 and 33, are what whoever started the engine has made of them:
    # make(1) by posix_spawn(3) has them ignored.
    seen = re.sub(r"SigIgn: 0{7}[01]80{7}", f"SigIgn: {0:016}", seen).splitlines()
    assert seen == [
        "/", "/dev/null", "0", f"Uid: {' '.join([number] * 4)}", f"Gid: {' '.join([number] * 4)}",
        "Groups: 33 " if user else ours, "SigBlk: 0000000000000000", "SigIgn: 0000000000000000", "A=b",
        *(["HOME=/var/www"] if user else []), "LANG=C.UTF-8", "LC_ALL=C.UTF-8",
        *(["LOGNAME=www-data"] if user else []),
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        *(["USER=www-data"] if user else []), str(found.pid).rjust(7),
    ]  # fmt: skip
    assert outcomes(box, service) == {}


def test_logs(box):
    talk = ["sh", "-c", "echo said; exec sleep 1000"]
    service = {"service": "talk", "start": talk, "background": True, "process": ["sleep", "1000"]}
    run(box, {**service, "log": "/var/log/talk.log"})
    assert box.read("/var/log/talk.log") == "said\n"
    assert box.stat("/var/log/talk.log") == "600 root:root"
    run(box, {**service, "state": "stopped"})
    run(box, {**service, "log": "container"})
    assert box.logs().out == "said\n"


def test_what_does_not_start_is_told_with_its_own_words(box):
    wrong = {
        "nginx": ({"start": "nginx -g nonsense;"}, "nginx: exit 1: "),
        "none": ({"start": "nowhere"}, "there is no program 'nowhere'"),
        "text": ({"start": "/etc/passwd"}, "/etc/passwd cannot be started: Permission denied"),
        "ended": ({"start": "true", "background": True}, "true: exit 0"),
        "gone": ({"start": "true", "timeout": 0.2}, "true was started, but is not seen to run"),
        "stays": ({"start": "sleep 77", "timeout": 0.2}, "sleep did not detach within 0.2 seconds"),
        "unseen": (
            {"start": "sleep 77", "timeout": 0.2, "background": True},
            "sleep was started, but is not seen to run",
        ),
        "user": ({"start": "cron", "user": "nemo"}, "there is no user 'nemo'"),
    }
    found = outcomes(box, *({"service": name, **one} for name, (one, _) in wrong.items()))
    for name, (_, reason) in wrong.items():
        outcome, told = found[f"service:{name}"]
        assert (outcome, told[: len(reason)]) == ("failed", reason)
    assert 'unknown directive "nonsense"' in found["service:nginx"][1]
    assert not [one for one in processes(box) if "77" in one.line]


def test_a_daemon_that_will_not_end_is_killed(box):
    stubborn = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
    service = {
        "service": "deaf",
        "start": stubborn,
        "background": True,
        "process": ["sh", "-c", "trap*"],
    }
    run(box, service)
    assert outcomes(box, {**service, "state": "stopped", "timeout": 0.3}) == {
        "service:deaf": ("changed", "")
    }
    assert not [one for one in processes(box) if "trap" in one.line]


def test_a_pid_file_of_an_earlier_start_names_somebody_else(box):
    other = box.exec("sh", "-c", "setsid tail -f /dev/null >/dev/null 2>&1 & echo $!").out.strip()
    box.exec("sh", "-c", f"echo {other} >/run/rsyslogd.pid; touch -d 2001-01-01 /run/rsyslogd.pid")
    service = {**RSYSLOG, "pidfile": "/run/rsyslogd.pid"}
    assert outcomes(box, service) == {"service:rsyslogd": ("changed", "")}
    assert daemon(box, "rsyslogd")
    assert daemon(box, "tail").pid == int(other)


def test_another_users_process_is_not_taken_for_it(box):
    box.exec("bash", "-c", "exec -a cron sleep 500 >/dev/null 2>&1 &", user="33")
    assert outcomes(box, {"service": "cron", "start": "cron"}) == {"service:cron": ("changed", "")}
    assert {one.user for one in of_program(box, "cron")} == {"0", "33"}


def test_the_resident_agent_starts_it_again_and_leaves_it_behind(container, programs_image):
    file = {"file": "/etc/cron.allow", "content": "root\n", "mode": "0644"}
    box = container(
        "--env=CONVERGE_RESIDENT=1", image=programs_image, profile={"resources": [CRON, file]},
        command=("/usr/local/bin/converge", "exec", "--", "sleep", "infinity"),
    )  # fmt: skip
    until(lambda: is_idle(box), "an agent that answers")
    (first,) = of_program(box, "cron")
    assert box.exec("kill", "-9", str(first.pid)).code == 0
    until(lambda: not of_program(box, "cron"), "the daemon's end")
    assert box.converge("trigger", "--wait").code == 0
    (second,) = of_program(box, "cron")
    assert not zombies(box)
    assert second.pid != first.pid
    adjustment = box.read(f"/proc/{second.pid}/oom_score_adj")
    assert adjustment == box.read("/proc/1/oom_score_adj")
    (agent,) = agents(box)
    assert box.exec("kill", str(agent.pid)).code == 0
    until(lambda: not agents(box), "the agent's end")
    assert daemon(box, "cron").pid == second.pid


def test_the_main_process_is_told_but_never_ended(container, programs_image):
    command = ("nginx", "-g", "daemon off;")
    box = container(image=programs_image, profile={"resources": []}, command=command)
    until(lambda: of_program(box, "nginx:"), "nginx")
    file = {"file": "/etc/nginx/conf.d/site.conf", "content": "# 1\n", "notify": "service:web"}
    workers = {one.pid for one in of_program(box, "nginx:") if one.parent != 1}
    report = run(box, file, {"service": "web", "manager": "main", "notify_signal": "HUP"})
    assert report["refreshed"] == ["service:web"]
    until(lambda: workers.isdisjoint(one.pid for one in of_program(box, "nginx:")), "new workers")
    found = outcomes(box, {"service": "nginx", "state": "stopped"})["service:nginx"]
    assert found[0] == "unmanageable"
    assert "is the container's main process: it ends with it" in found[1]
    file["content"] = "# 2\n"
    assert (
        "cannot be restarted"
        in outcomes(box, file, {"service": "web", "manager": "main"})["service:web"][1]
    )


@pytest.mark.parametrize("resident", ["", "1"])
def test_the_start_does_not_tell_the_main_process_that_is_to_come(
    container, programs_image, resident
):
    """Until the run has ended, `converge exec` has its place, and SIGHUP would end the start."""
    file = {"file": "/etc/nginx/conf.d/site.conf", "content": "# 1\n", "notify": "service:web"}
    main = {"service": "web", "manager": "main", "notify_signal": "HUP"}
    box = container(
        f"--env=CONVERGE_RESIDENT={resident}", image=programs_image,
        profile={"resources": [file, main]},
        command=("/usr/local/bin/converge", "exec", "--", "nginx", "-g", "daemon off;"),
    )  # fmt: skip
    until(lambda: of_program(box, "nginx:"), "nginx")
    report = box.converge("status", "--json").json["report"]
    assert (report["counts"]["failed"], report["refreshed"]) == (0, ["service:web"])
    assert box.read("/etc/nginx/conf.d/site.conf") == "# 1\n"


def test_an_unprivileged_agent_says_what_it_may_not(box):
    run(box, CRON)
    box.profile({"resources": [{**CRON, "state": "stopped"}]})
    found = box.report("--once", user="33")["resources"][0]
    assert (found["outcome"], found["reason"]) == (
        "unmanageable", f"ending process {daemon(box, 'cron').pid}, of another user, needs CAP_KILL",
    )  # fmt: skip


def test_hidden_processes(container, programs_image):
    box = container("--cap-add=SYS_ADMIN", image=programs_image, profile={"resources": []})
    assert box.exec("mount", "-o", "remount,hidepid=2", "/proc").code == 0
    found = outcomes(box, {"service": "web", "start": "x", "user": "www-data"})["service:web"]
    assert found == ("unmanageable", "/proc hides the processes of uid 33 (hidepid)")
