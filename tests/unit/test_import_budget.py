"""The exact modules that the commands of every day import, beyond those of the bare interpreter.

Each costs 0.1 to 0.3 ms of every start, some of the standard library 20 times that. A new one is a
decision: what brought it is told, and where it is worth its time, it is added here.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import converge

START = """cli commands config errors files files.atomic jsontext record reports reports.output
setting_checks state state.directory state.private state.store stopping textdiff
words"""
HEALTH = f"""{START} client files.trust health state.standing"""
RUN = f"""{START} catalog diff engine facts files.backup files.digests files.journal files.modes
files.paths files.regular files.trust files.walk inspection kinds loading mounts notifications
outcome probe programs programs.process provider read_only reports.metrics reports.report
runner state.cache state.fingerprints state.lock state.standing system"""
READING = {  # by kinds
    *("converge.files.modes", "converge.probe", "converge.programs", "converge.programs.process"),
}
KINDS = """accounts accounts.database accounts.guards accounts.obstacles accounts.tables directory
file group package packages packages.apt packages.dpkg paths paths.directory_tree paths.disclosure
paths.owners paths.trees paths.walk symlink"""
DAEMON = """daemon daemon.child daemon.command daemon.control daemon.drift daemon.kernel daemon.loop
daemon.options daemon.place daemon.prints daemon.say daemon.server daemon.timer daemon.watcher
daemon.watches"""
WAITING = """__future__ _collections_abc _ctypes _socket _stat errno fcntl genericpath os os.path
posixpath select stat"""
STANDARD = "__future__ _json errno zlib"
SPELLINGS = {"_sha2", "_sha256"}  # of one thing in the versions of Python

PROFILE = """profile: budget
resources:
  - file: /etc/motd
    content: "hello\\n"
    mode: "0644"
  - directory: /srv
    mode: "0755"
  - symlink: /etc/link
    target: motd
  - group: operators
    gid: 990
  - package: tzdata
"""
STATUS = "Package: tzdata\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n"

# Tells each module's first import, with the modules that were being imported then.
SPY = """
import sys
told = dict.fromkeys(sys.modules, "")
class Spy:
    def find_spec(name, path=None, target=None):
        chain, frame = [name], sys._getframe(1)
        while frame:
            by = frame.f_globals.get("__name__", "")
            if "importlib" not in by and by not in (chain[-1], "__main__"):
                chain.append(by)
            frame = frame.f_back
        told.setdefault(name, " <- ".join(chain))
sys.meta_path.insert(0, Spy)
before = set(sys.modules)
exec(sys.argv.pop(1))
from converge.cli import main
code = main(sys.argv[1:])
for name in sorted(set(sys.modules) - before):
    print(name, told.get(name) or name, sep="\\t", file=sys.stderr)
sys.exit(code)
"""
# As if all that is read had last been changed long ago.
SURE = "from converge.state import fingerprints; fingerprints._TICK = -(10**18)"


@pytest.fixture
def call(tmp_path):
    """Return a function that runs a command below a root, and returns how each module came."""
    root = tmp_path / "root"
    for folder in ("etc", "srv", "var/lib/dpkg"):
        (root / folder).mkdir(parents=True)
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "var/lib/dpkg/status").write_text(STATUS)
    (tmp_path / "p.yaml").write_text(PROFILE)
    tmp_path.chmod(0o755)
    places = ["--state-dir", f"{tmp_path}/state", "--runtime-dir", f"{tmp_path}/run"]
    places += ["--root", str(root), "--profile", f"{tmp_path}/p.yaml"]

    def run(*words, prelude=""):
        argv = [sys.executable, "-I", "-c", SPY, prelude, *words, *places]
        done = subprocess.run(argv, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(line.split("\t") for line in done.stderr.splitlines())

    run("--once")
    return run


def budget(agent, kinds="", standard=""):
    names = {f"converge.{name}" for name in agent.split()} | {"converge"}
    names |= {f"converge_resources.{name}" for name in kinds.split()}
    return (
        names
        | {*STANDARD.split(), *standard.split()}
        | ({"converge_resources"} if kinds else set())
    )


def check(found, allowed):
    """Fail with a line for each module that is new, and what brought it; or that is not met."""
    new = [f"new: {how}" for name, how in found.items() if name not in {*allowed, *SPELLINGS}]
    lines = [*new, *(f"not imported: {name}" for name in sorted(allowed - set(found)))]
    assert not lines, "\n".join(lines)


def test_a_run_that_reads_everything(call):
    check(call("--once", "--full"), budget(RUN, KINDS, "fcntl itertools"))


def test_a_run_that_knows_everything(call):
    """No kind is needed for what looks as it did when it was right."""
    call("--once", prelude=SURE)
    check(call("--once", prelude=SURE), budget(RUN, standard="fcntl itertools") - READING)


def test_the_resident_process():
    """What it imports, it holds for ever: all of it, as it is started without `site`."""
    folder = str(Path(converge.__file__).parents[1])
    code = (
        f"import sys; before = {{*sys.modules}}; sys.path.insert(0, {folder!r});"
        "import converge.daemon.loop; print(*sorted({*sys.modules} - before))"
    )
    done = subprocess.run([sys.executable, "-ISB", "-c", code], capture_output=True, text=True)
    own = {f"converge.{name}" for name in DAEMON.split()}
    assert {*done.stdout.split()} == {"converge", *own, *WAITING.split()}


def test_a_health_check(call):
    check(call("health"), budget(HEALTH, standard="_socket"))
