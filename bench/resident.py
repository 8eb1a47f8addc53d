#!/usr/bin/env python3
"""What the resident agent costs while nothing happens, and how soon it repairs what drifts.

    bench/resident.py [--seconds 60] [--tries 100]              this checkout, below a scratch root
    bench/resident.py --image localhost/converge-base [...]     in a container of the image

RSS, PSS and what of it is the process's own are /proc/PID/smaps_rollup, wake-ups the voluntary
context switches of /proc/PID/status (with strace beside: system calls), CPU /proc/PID/stat, over the
idle seconds. The PSS of a process that shares its pages with the Python that measures it is too
good: let another one measure (--python), as in a container `cat` does. Each try spoils a managed file
of its own (a resource that is changed again and again is left to the timer) and waits until its
content is right again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

CONTENT = "as it shall be\n"


def profile(tries: int) -> str:
    """Return a profile of a file for each try; JSON is YAML."""
    files = [{"file": f"/srv/f{i:03d}", "content": CONTENT} for i in range(tries)]
    directory = {"directory": "/srv", "mode": "0755"}
    return json.dumps({"profile": "resident", "resources": [directory, *files]})


def read(path: str) -> str:
    """Return the text of a file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def numbers(text: str) -> dict[str, int]:
    """Return the numbers of lines `Name: number …`."""
    pairs = [line.split()[:2] for line in text.splitlines()]
    return {pair[0].rstrip(":"): int(pair[1]) for pair in pairs if pair[1:] and pair[1].isdigit()}


def wakes(pid: int) -> int:
    """Return how often a process has gone to sleep by itself."""
    return numbers(read(f"/proc/{pid}/status"))["voluntary_ctxt_switches"]


def cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has taken."""
    words = read(f"/proc/{pid}/stat").rpartition(") ")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def memory(rollup: str) -> str:
    """Return a line on the memory of a process, from its smaps_rollup."""
    found = numbers(rollup)
    own = found["Private_Clean"] + found["Private_Dirty"]
    shown = {name: f"{found[name] / 1024:.1f} MiB" for name in ("Rss", "Pss", "Anonymous")}
    return (
        f"resident memory   {shown['Rss']} RSS, {shown['Pss']} PSS, {shown['Anonymous']} anonymous, "
        f"{own / 1024:.1f} MiB not shared"
    )


def idle(pid: int, seconds: float) -> str:
    """Return a line on the process while it waits."""
    before, used = wakes(pid), cpu(pid)
    time.sleep(seconds)
    woken, took = wakes(pid) - before, cpu(pid) - used
    calls = _calls(pid, seconds)
    return f"idle for {seconds:g} s     {woken} wake-ups, {took:.2f} s of CPU{calls}"


def _calls(pid: int, seconds: float) -> str:
    if not shutil.which("strace"):
        return ""
    argv = ["timeout", f"{seconds:g}", "strace", "-qq", "-f", "-p", str(pid)]
    done = subprocess.run(argv, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if "(" in line]
    return (
        f", {max(0, len(lines) - 1)} system calls"  # the first is the wait that strace interrupts
    )


def repairs(root: str, tries: int) -> list[float]:
    """Return the milliseconds from each change to its repair."""
    found = []
    for i in range(tries):
        path = f"{root}/srv/f{i:03d}"
        time.sleep(0.2)  # each alone, as drift is
        begin = time.perf_counter()
        with open(path, "w", encoding="utf-8") as file:
            file.write("spoilt\n")
        while read(path) != CONTENT:
            time.sleep(0.001)
        found.append((time.perf_counter() - begin) * 1000)
    return sorted(found)


def asked(command: list[str], python: str, tries: int) -> str:
    """Return a line on how long `health` takes, by turns with the bare interpreter."""
    times: list[list[float]] = [[], []]
    for _ in range(tries):
        for found, argv in zip(
            times, ([*command, "health"], [python, "-I", "-c", "pass"]), strict=True
        ):
            begin = time.perf_counter()
            subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
            found.append((time.perf_counter() - begin) * 1000)
    ours, bare = map(statistics.median, times)
    return f"health            median {ours:.1f} ms, the bare interpreter {bare:.1f} ms"


def waiting(command: list[str]) -> int:
    """Return the process of the agent that `command` can ask, once it waits."""
    while True:
        done = subprocess.run([*command, "status", "--json"], capture_output=True, text=True)
        agent = json.loads(done.stdout)["agent"] if done.returncode == 0 else None
        if agent and not agent["busy"]:
            time.sleep(1)
            return int(agent["pid"])
        time.sleep(0.1)


def measure(command: list[str], python: str, root: str, seconds: float, tries: int) -> None:
    """Measure the agent that `command` (converge and its options) can ask, and print it."""
    pid = waiting(command)
    print(idle(pid, seconds), flush=True)
    print(asked(command, python, 40), flush=True)
    times = repairs(root, tries)
    at = times[math.ceil(len(times) * 0.99) - 1]
    print(
        f"drift to repair   median {statistics.median(times):.0f} ms, 99 % within {at:.0f} ms, "
        f"at most {times[-1]:.0f} ms ({tries} tries)"
    )
    print(f"after that: {memory(read(f'/proc/{pid}/smaps_rollup'))}", flush=True)


def here(python: str, seconds: float, tries: int) -> None:
    """Measure the agent of a Python, below a scratch root."""
    folder = tempfile.mkdtemp(prefix="converge-bench-")
    os.chmod(folder, 0o755)  # noqa: S103  the agent refuses what others could change
    os.makedirs(f"{folder}/root/srv")
    with open(f"{folder}/profile.yaml", "w", encoding="utf-8") as file:
        file.write(profile(tries))
    program = os.path.join(os.path.dirname(__file__), "../agent/converge/__main__.py")
    command = [
        python, "-I", program, "--root", f"{folder}/root", "--profile",
        f"{folder}/profile.yaml", "--state-dir", f"{folder}/state", "--runtime-dir", f"{folder}/run",
    ]  # fmt: skip
    settings = {**os.environ, "CONVERGE_SPLAY": "false"}  # no run while it is looked at
    agent = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=settings)
    try:
        print(memory(read(f"/proc/{waiting(command)}/smaps_rollup")), flush=True)
        measure(command, python, f"{folder}/root", seconds, tries)
    finally:
        agent.terminate()
        agent.wait()
        shutil.rmtree(folder)


def in_container(engine: str, image: str, seconds: float, tries: int) -> None:
    """Measure the agent of an image, from inside a container of it."""
    folder = tempfile.mkdtemp(prefix="converge-bench-")
    os.chmod(folder, 0o755)  # noqa: S103  the agent refuses what others could change
    with open(f"{folder}/profile.yaml", "w", encoding="utf-8") as file:
        file.write(profile(tries))
    run = [
        engine,
        "run",
        "-d",
        "--rm",
        "-e",
        "CONVERGE_RESIDENT=1",
        "-e",
        "CONVERGE_SPLAY=false",
        "--health-cmd",
        "none",
    ]
    volume = f"{folder}/profile.yaml:/etc/converge/profile.yaml:ro"
    done = subprocess.run(
        [*run, "-v", volume, image, "sleep", "infinity"], stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    name = done.stdout.strip()
    pid = waiting([engine, "exec", name, "converge"])
    rollup = [engine, "exec", name, "cat", f"/proc/{pid}/smaps_rollup"]
    print(memory(subprocess.run(rollup, stdout=subprocess.PIPE, text=True).stdout), flush=True)
    inside = [engine, "exec", "-i", name, "/opt/converge/bin/python", "-I", "-", "--attach"]
    try:
        with open(__file__, encoding="utf-8") as script:
            subprocess.run(
                [*inside, f"--seconds={seconds}", f"--tries={tries}"], stdin=script, check=True
            )
    finally:
        subprocess.run([engine, "rm", "-f", "-t", "0", name], stdout=subprocess.DEVNULL)
        shutil.rmtree(folder)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--tries", type=int, default=100)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--image")
    parser.add_argument("--engine", default=shutil.which("podman") or "docker")
    parser.add_argument("--attach", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attach:
        measure(["/opt/converge/bin/converge"], sys.executable, "", options.seconds, options.tries)
    elif options.image:
        print(f"# {options.image}", flush=True)
        in_container(options.engine, options.image, options.seconds, options.tries)
    else:
        print(f"# {options.python}", flush=True)
        here(options.python, options.seconds, options.tries)


if __name__ == "__main__":
    main()
