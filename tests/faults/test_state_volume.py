"""A volume that is mounted where the state belongs: used if nobody else could swap what is in it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from faults.needs import need_mounts

OWN = f"converge-{os.geteuid()}"
# Two runs with a volume of mode $1 at /var/lib/converge, and what is left in the places for state.
SCRIPT = """
mount -t tmpfs -o mode=0755 tmpfs /var/lib
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir /var/lib/converge
mount -t tmpfs -o mode=$1 tmpfs /var/lib/converge
shift
"$@"; echo; "$@"; echo
find /var/lib/converge /run -name standing.json
ls -A /var/lib/converge
"""


def runs(tmp_path, mode: str, *flags: str) -> tuple[str, str, list[str]]:
    """Return the outputs of both runs, and what is left."""
    need_mounts()
    (tmp_path / "p.yaml").write_text(f"resources:\n  - file: {tmp_path}/x\n    content: x\n")
    command = [
        sys.executable, "-I", "-m", "converge", "--once", "--profile", f"{tmp_path}/p.yaml", *flags,
    ]  # fmt: skip
    told = subprocess.run(
        ["unshare", "-m", "sh", "-c", SCRIPT, "sh", mode, *command],
        capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert not told.stderr, told.stderr
    first, second, left = told.stdout.split("\n\n", 2)
    return first, second, left.split()


def test_anyone_may_write_it_as_an_empty_dir(tmp_path):
    first, second, left = runs(tmp_path, "0777")
    why = "/var/lib/converge has mode 0777, which lets others in: chmod 0700"
    assert f"the state is in /run/{OWN}, as {why}" in first
    assert why not in second, "said once"
    assert left == [f"/run/{OWN}/standing.json"], "nothing is left in the volume"


@pytest.mark.parametrize("mode", ["0755", "1777"])
def test_nobody_else_could_swap_what_is_in_it(tmp_path, mode):
    first, second, left = runs(tmp_path, mode)
    assert "state" not in first + second
    assert left == [f"/var/lib/converge/{OWN}/standing.json", OWN]


def test_it_is_the_agents_own(tmp_path):
    first, second, left = runs(tmp_path, "0700")
    assert "state" not in first + second
    assert left[0] == "/var/lib/converge/standing.json"
