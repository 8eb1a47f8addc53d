"""The command line, in this process, below a scratch root."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from converge import kinds
from converge.cli import main

PROFILE = """profile: web
vars:
  who: world
resources:
  - file: /etc/motd
    content: "hello {{ who }}\\n"
    mode: "0644"
    tags: [motd]
  - file: /etc/issue
    content: "x\\n"
    require: file:/etc/motd
"""


@pytest.fixture(autouse=True)
def never_resident(monkeypatch):
    """Let no test replace this process by the agent."""

    def refuse(*_, **__):
        raise AssertionError("it would have become the resident agent")

    monkeypatch.setattr("converge.resident.become", refuse)


@pytest.fixture
def call(tmp_path, capsys, monkeypatch):
    """Return a function that runs the command line and returns (code, out, err)."""
    (tmp_path / "root/etc").mkdir(parents=True)
    tmp_path.chmod(0o755)
    profile = tmp_path / "p.yaml"
    profile.write_text(PROFILE)
    monkeypatch.setenv("CONVERGE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("CONVERGE_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("CONVERGE_PROFILE", str(profile))

    def run(*arguments):
        code = main([*arguments, "--root", str(tmp_path / "root")])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_plan_once_and_again(call, tmp_path):
    code, out, _ = call("plan")
    assert code == 2
    assert "would change file:/etc/motd: would be created" in out
    assert not (tmp_path / "state").exists(), "a plan writes nothing, not even state"
    assert not (tmp_path / "root/etc/motd").exists()
    assert call("--once")[0] == 0
    assert (tmp_path / "root/etc/motd").read_text() == "hello world\n"
    code, out, _ = call("--once", "--detailed-exitcodes")
    assert code == 0
    assert "2 resources: 2 in sync" in out


def test_exit_codes_of_changes_and_failures(call, tmp_path):
    assert call("--once", "--detailed-exitcodes")[0] == 2
    (tmp_path / "root/etc/motd").unlink()
    (tmp_path / "root/etc/motd").mkdir()
    code, out, _ = call("--once", "--detailed-exitcodes")
    assert code == 4
    assert "failed file:/etc/motd" in out
    assert call("--once", "--noop")[0] in (2, 4, 6)


def test_vars_and_tags(call, tmp_path):
    assert call("--once", "--var", "who=you", "--tags", "motd")[0] == 0
    assert (tmp_path / "root/etc/motd").read_text() == "hello you\n"
    assert not (tmp_path / "root/etc/issue").exists()


def test_json_and_status(call):
    code, out, _ = call("--once", "--json")
    assert code == 0
    report = json.loads(out)
    assert report["counts"]["changed"] == 2
    status = json.loads(call("status", "--json")[1])
    assert status["report"] == report
    assert (status["agent"], status["problems"], status["stale"]) == (None, [], False)
    assert f"last run {report['id']}" in call("status")[1]


def test_status_without_a_run(call):
    code, _, err = call("status")
    assert code == 1
    assert "converge --once" in err


def test_validate(call, tmp_path):
    assert call("validate") == (0, f"{tmp_path}/p.yaml: 2 resources, no problems\n", "")
    bad = tmp_path / "bad.yaml"
    bad.write_text("resources:\n  - fiel: /x\n  - file: /y\n    mdoe: '0644'\n")
    code, out, err = call("validate", str(bad), str(tmp_path / "p.yaml"))
    assert code == 1
    assert f"{bad}:2:5: unknown kind `fiel` (did you mean `file`?)" in err
    assert f"{bad}:4:5: file:/y: unknown attribute `mdoe` (did you mean `mode`?)" in err
    assert "2 problems; nothing was touched" in err
    code, out, _ = call("validate", str(bad), "--json")
    assert code == 1
    assert [one["line"] for one in json.loads(out)["problems"]] == [2, 4]
    assert json.loads(call("validate", "--json")[1])["problems"] == []
    assert call("validate", str(tmp_path / "none.yaml"))[0] == 1


def test_schema_and_kinds(call):
    schema = json.loads(call("schema")[1])
    assert "file" in json.dumps(schema)
    listed = call("kinds")[1]
    assert all(name in listed for name in kinds.BUILT_IN)
    for name in kinds.BUILT_IN:
        assert f"{name} (the name)" in call("kinds", name)[1]
    assert "mode" in json.loads(call("kinds", "file", "--json")[1])["attributes"]
    told = call("kinds", "sysctl")[1]
    assert "  value: string | integer" in told
    assert "  live: boolean, default true\n" in told
    assert "on_unmanageable" in told.splitlines()[-1]  # what every resource has
    assert "  path: string, required\n" in call("kinds", "ini")[1]
    code, _, err = call("kinds", "fiel")
    assert code == 1
    assert "did you mean `file`?" in err


def test_facts(call):
    assert "  read_only_root: false\n" in call("facts")[1]
    facts = json.loads(call("facts", "--json")[1])
    assert facts["os"] is not None
    assert set(facts["environment"].values()) == {"[hidden]"}
    assert "hostname" in call("facts")[1]


def test_explain(call):
    code, out, _ = call("explain", "file:/etc/issue")
    assert code == 0
    assert "p.yaml:9" in out
    assert "goes after: file:/etc/motd" in out
    assert "now: would change" in out
    assert "type: none → file" in out
    assert "no run yet" in out
    call("--once")
    found = json.loads(call("explain", "file:/etc/issue", "--json")[1])
    assert (found["now"], found["last_run"]) == ("in_sync", "changed")
    code, _, err = call("explain", "file:/etc/isue")
    assert code == 1
    assert "did you mean `file:/etc/issue`?" in err
    assert "did you mean `file:/etc/issue`?" in call("explain", "/etc/issue")[2]


@pytest.mark.parametrize(
    "arguments",
    [("--noop",), ("exec",), ("pause",), ("--once", "plan"), ("--onec",),
     ("--wait", "x", "--once"), ("--once", "--var", "a"),
     ("explain",), ("--color", "pink", "plan")],
)  # fmt: skip
def test_wrong_usage_exits_with_1(call, arguments):
    code, _, err = call(*arguments)
    assert code == 1
    assert err.startswith("converge: ")


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (("plann",), "did you mean `plan`?"),
        (("apply",), "write `converge --once`"),
        (("--onec",), "did you mean `--once`?"),
        (("--dry-run",), "write `converge plan`"),
        (("plan", "site/web.yaml"), "a profile is named by `--profile site/web.yaml`"),
        (("--once", "web.yml"), "a profile is named by `--profile web.yml`"),
        (("--ready-fb", "3"), "see `converge --help`"),  # what is hidden is not what was meant
        (("frobnicate",), "see `converge --help`"),
    ],
)
def test_wrong_words_are_told_what_was_meant(call, arguments, remedy):
    code, _, err = call(*arguments)
    assert code == 1
    assert err.endswith(f"({remedy})\n")


@pytest.mark.parametrize("command", ["plan", "--once", "validate", "facts"])
def test_a_root_that_is_not_there_is_not_made(call, tmp_path, command):
    (tmp_path / "root").rename(tmp_path / "moved")
    code, _, err = call(command)
    assert code == 1
    assert f"there is no directory {tmp_path / 'root'}" in err
    assert not (tmp_path / "root").exists()


def test_a_tag_that_no_resource_has_is_told(call):
    assert "no resource has the tag mtod" in call("plan", "--tags", "mtod")[1]
    told = json.loads(call("--once", "--tags", "motd,other", "--json")[1])
    assert told["messages"] == ["no resource has the tag other"]
    assert call("plan", "--tags", "motd")[1].count("no resource") == 0


def test_a_held_lock_exits_with_1_and_touches_nothing(call, tmp_path):
    from converge.state.lock import hold

    (tmp_path / "run").mkdir(mode=0o700)
    with hold(str(tmp_path / "run")):
        code, _, err = call("--once")
    assert code == 1
    assert "run" in err
    assert not (tmp_path / "root/etc/motd").exists()


def test_too_many_deletions_touch_nothing(call, tmp_path):
    call("--once")
    gone = tmp_path / "gone.yaml"
    gone.write_text("resources:\n  - file: [/etc/motd, /etc/issue]\n    state: absent\n")
    code, _, err = call("--once", "--profile", str(gone), "--allow-deletions", "1")
    assert code == 1
    assert "--allow-deletions 2" in err
    assert (tmp_path / "root/etc/motd").exists()
    assert call("--once", "--profile", str(gone))[0] == 0
    assert not (tmp_path / "root/etc/motd").exists()


def test_an_interrupted_run_is_cleaned_up_after(call, tmp_path):
    call("--once")
    from converge.state import directory as state

    kept = state.find(str(tmp_path / "state"), str(tmp_path / "root"))
    kept.mark_running(["/etc"])
    left = tmp_path / "root/etc/.converge-0123456789abcdef0123456789abcdef.tmp"
    left.write_text("half")
    code, out, _ = call("--once")
    assert code == 0
    assert "was interrupted" in out
    assert not left.exists()


def test_a_profile_that_others_may_write_is_refused(call, tmp_path):
    (tmp_path / "p.yaml").chmod(0o666)
    code, _, err = call("--once")
    assert code == 1
    assert "p.yaml" in err
    assert not (tmp_path / "root/etc/motd").exists()


def test_help_does_not_show_what_is_between_the_agents_own_processes(call, capsys):
    with pytest.raises(SystemExit):
        call("--help")
    shown = capsys.readouterr().out
    assert "--runtime-dir" in shown
    assert "--ready-fd" not in shown
    assert "SUPPRESS" not in shown


@pytest.mark.parametrize("command", ["facts", "kinds", "health"])
def test_what_cannot_be_written_is_told_in_a_line(command):
    argv = [sys.executable, "-I", "-m", "converge", command, "--json"]
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, check=False)
    message = b"the output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, b"converge: " + message)


def test_a_reader_that_has_gone_changes_no_exit_code(tmp_path):
    (tmp_path / "p.yaml").write_text("resources: [{file: /none/x, content: x}]\n")
    read, write = os.pipe()
    os.close(read)
    try:
        options = ["--profile", tmp_path / "p.yaml", "--root", tmp_path]
        options += ["--state-dir", tmp_path / "state", "--runtime-dir", tmp_path / "run"]
        argv = [sys.executable, "-I", "-m", "converge", "--once", *map(str, options)]
        done = subprocess.run(argv, stdout=write, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(write)
    assert done.returncode == 4, done.stderr
