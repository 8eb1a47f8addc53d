#!/usr/bin/env python3
"""One change, many containers: how soon they follow, and what it costs the source.

    bench/fleet.py [--agents 500] [--interval 120] [--only web,etcd] [--plot docs/scale.svg]

The agents are those of the base image, each in namespaces above an overlay root (bench/sandboxes.py),
fed by a real nginx (polled, with conditional requests) and by a real etcd (watched) on loopback. The
interval is short so that a bench ends; shares of it are what counts. What is measured:

  follow   the seconds from the change until 10, 50, 99 and 100 % of the containers have the new file
  load     requests a second at nginx over one interval, and over the one after an outage of some
           intervals (ten minutes are five of two): peak and mean
  bytes    what nginx sent for a 304 and for a new bundle
  memory   PSS and private memory of all agents together while idle

All agents share this machine's cores, so `follow` by watch is bounded by them: the CPU seconds of one
run are printed beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from sandboxes import Sandboxes, export, memory

from converge.bundle import minisign, packing
from converge.bundle.statement import Statement

SHARES = (10, 50, 99, 100)
_EXPIRES = 4_000_000_000
_WEB, _ETCD = "127.0.0.1:18080", "127.0.0.1:12379"
_NGINX = """
worker_processes 1; daemon off; pid {0}/nginx.pid; error_log {0}/error.log;
events {{ worker_connections 4096; }}
http {{ log_format t '$msec $status $bytes_sent $request_uri'; access_log {0}/access.log t;
  client_body_temp_path {0}; proxy_temp_path {0}; fastcgi_temp_path {0}; uwsgi_temp_path {0};
  scgi_temp_path {0}; server {{ listen {1}; root {0}/www; }} }}
"""


class Publisher:
    """Signs bundles, each with a name server of its own, and puts them where agents look."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = minisign.generate()
        self.sequence = 0
        (folder / "www").mkdir()
        (folder / "web").mkdir()

    def make(self) -> tuple[str, bytes, str]:
        """Return (what the managed file will hold, a bundle, its signature)."""
        self.sequence += 1
        text = f"nameserver 10.0.{self.sequence // 256}.{self.sequence % 256}\n"
        resources = [{"file": "/etc/bench-resolv.conf", "content": text}]
        profile = json.dumps({"profile": "dns", "resources": resources})
        (self.folder / "web/profile.yaml").write_text(profile)
        content = packing.pack(str(self.folder / "web"), {})
        stated = Statement(name="web", sequence=self.sequence, expires=_EXPIRES)
        return text, content, minisign.sign(self.key, content, str(stated))

    def to_web(self) -> str:
        """Publish on nginx; return what the file will hold."""
        text, content, signature = self.make()
        for name, data in (("web.tar.gz.minisig", signature.encode()), ("web.tar.gz", content)):
            (self.folder / "new").write_bytes(data)
            (self.folder / "new").rename(self.folder / "www" / name)
        return text

    def to_etcd(self) -> str:
        """Publish in etcd, bundle and signature in one transaction."""
        text, content, signature = self.make()

        def put(key: str, data: bytes) -> dict[str, Any]:
            pair = {"key": key.encode(), "value": data}
            return {"request_put": {name: b64encode(one).decode() for name, one in pair.items()}}

        body = {"success": [put("/web", content), put("/web.minisig", signature.encode())]}
        request = Request(f"http://{_ETCD}/v3/kv/txn", json.dumps(body).encode())
        urlopen(request).close()  # noqa: S310  our own etcd
        return text


class Nginx:
    """A real nginx over the publisher's folder; `requests` reads its log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "nginx.conf").write_text(_NGINX.format(folder, _WEB))
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it."""
        config = str(self.folder / "nginx.conf")
        self.process = subprocess.Popen(["nginx", "-c", config, "-p", str(self.folder)])
        time.sleep(0.5)

    def stop(self) -> None:
        """End it."""
        if self.process:
            self.process.terminate()
            self.process.wait()

    def requests(self, since: float, until: float) -> list[tuple[float, str, int, str]]:
        """Return (seconds since 1970, status, bytes sent, path) of each request in a span."""
        found = []
        for line in (self.folder / "access.log").read_text().splitlines():
            when, status, size, path = line.split()
            if since <= float(when) < until:
                found.append((float(when), status, int(size), path))
        return found


def follow(boxes: Sandboxes, text: str, most: float, began: float) -> list[float]:
    """Return, sorted, after how many seconds each sandbox had the new content; waits `most` seconds."""
    left = set(range(len(boxes.processes)))
    found: list[float] = []
    while left and time.time() - began < most:
        for number in list(left):
            try:
                now = (boxes.up(number) / "etc/bench-resolv.conf").read_text()
            except OSError:
                continue
            if now == text:
                left.discard(number)
                found.append(time.time() - began)
        time.sleep(0.02)
    if left:
        raise SystemExit(f"{len(left)} of {len(boxes.processes)} did not follow in {most:.0f} s")
    return found


def at_share(times: list[float], share: int) -> float:
    """Return the time after which a share (in percent) had followed."""
    return times[max(0, -(-len(times) * share // 100) - 1)]


def load(nginx: Nginx, since: float, span: float) -> dict[str, float]:
    """Return requests a second for the bundle over a span: mean, peak, their ratio."""
    found = [one for one in nginx.requests(since, since + span) if one[3] == "/web.tar.gz"]
    seconds = Counter(int(when - since) for when, *_ in found)
    mean = len(found) / span
    peak = max(seconds.values(), default=0)
    return {"requests": len(found), "mean": mean, "peak": peak, "ratio": peak / mean if mean else 0}


def cpu() -> float:
    """Return the CPU seconds of all children that have ended, and of the machine's users."""
    with open("/proc/stat", encoding="ascii") as file:
        words = file.readline().split()
    return (int(words[1]) + int(words[2]) + int(words[3])) / os.sysconf("SC_CLK_TCK")


def agent(url: str, key: str, interval: float) -> list[str]:
    """Return the command of one agent."""
    return [
        "env", f"CONVERGE_PROFILE={url}", f"CONVERGE_KEYS={key}", "CONVERGE_BUNDLE_NAME=web",
        "converge", "--interval", str(interval),
    ]  # fmt: skip


def start_all(boxes: Sandboxes, argv: list[str], count: int, text: str) -> None:
    """Start the agents, a few at a time, and wait until all have converged."""
    began = time.time()
    for _ in range(count):
        boxes.start(argv)
        time.sleep(0.02)
    times = follow(boxes, text, 900, began)
    print(f"{count} agents started and converged in {times[-1]:.0f} s", flush=True)


def by_web(root: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure polling."""
    publisher = Publisher(folder)
    nginx = Nginx(folder)
    boxes = Sandboxes(root, folder / "boxes")
    span = options.interval
    try:
        text = publisher.to_web()
        argv = agent(f"http://{_WEB}/web.tar.gz", publisher.key.public.text, span)
        start_all(boxes, argv, options.agents, text)
        time.sleep(span)  # the first period is not whole for those that started late
        began = time.time()
        time.sleep(span)
        steady = load(nginx, began, span)
        idle = memory(boxes.pids())
        small = [
            size for _, status, size, _ in nginx.requests(began, began + span) if status == "304"
        ]
        began = time.time()
        times = follow(boxes, publisher.to_web(), 3 * span, began)
        large = [
            size for _, status, size, _ in nginx.requests(began, time.time()) if status == "200"
        ]
        nginx.stop()
        time.sleep(options.outage * span)
        nginx.start()
        began = time.time()
        time.sleep(span)
        after = load(nginx, began, span)
        return {
            "follow": times, "steady": steady, "after": after, "memory": idle,
            "bytes": {"304": sum(small) / max(1, len(small)), "new": sum(large) / options.agents},
        }  # fmt: skip
    finally:
        boxes.stop()
        nginx.stop()


def by_etcd(root: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure watching."""
    publisher = Publisher(folder)
    etcd = subprocess.Popen(
        ["etcd", "--data-dir", str(folder / "etcd"), "--log-level", "error",
         "--listen-client-urls", f"http://{_ETCD}", "--advertise-client-urls", f"http://{_ETCD}",
         "--listen-peer-urls", "http://127.0.0.1:12380"],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    boxes = Sandboxes(root, folder / "boxes")
    try:
        time.sleep(2)
        text = publisher.to_etcd()
        argv = agent(f"etcd://{_ETCD}/web", publisher.key.public.text, 1800)
        start_all(boxes, argv, options.agents, text)
        time.sleep(10)
        idle = memory(boxes.pids())
        before, began = cpu(), time.time()
        times = follow(boxes, publisher.to_etcd(), 900, began)
        return {"follow": times, "memory": idle, "cpu": (cpu() - before) / options.agents}
    finally:
        boxes.stop()
        etcd.terminate()
        etcd.wait()


def show(name: str, found: dict[str, Any], options: argparse.Namespace) -> None:
    """Print one row of figures a line."""
    span = options.interval
    shares = ", ".join(f"{share} %: {at_share(found['follow'], share):.1f} s" for share in SHARES)
    print(f"{name}: {options.agents} containers followed: {shares}")
    sums = found["memory"]
    each = sums["pss"] / options.agents
    print(
        f"{name}: {sums['processes']:.0f} processes, {sums['pss']:.0f} MB PSS in all, "
        f"{each:.1f} MB a container ({sums['private']:.0f} MB private in all)"
    )
    for what in ("steady", "after"):
        if one := found.get(what):
            when = (
                "in steady state" if what == "steady" else f"after {options.outage:g} without nginx"
            )
            print(
                f"{name}: {one['requests']} requests in {span:.0f} s {when}: mean {one['mean']:.2f}, "
                f"peak {one['peak']:.0f} a second, {one['ratio']:.1f} times the mean"
            )
    if sizes := found.get("bytes"):
        print(f"{name}: {sizes['304']:.0f} bytes for a 304, {sizes['new']:.0f} for a new bundle")
    if "cpu" in found:
        print(
            f"{name}: {found['cpu']:.2f} CPU seconds of this machine for each container that followed"
        )


def plot(found: dict[str, dict[str, Any]], options: argparse.Namespace) -> None:
    """Draw the share of the containers that have followed over time."""
    import matplotlib as mpl  # type: ignore[import-not-found,unused-ignore]

    mpl.use("svg")
    from matplotlib import pyplot  # type: ignore[import-not-found,unused-ignore]

    figure, axes = pyplot.subplots(figsize=(7, 4))
    labels = {"web": f"polled, every {options.interval:.0f} s (nginx)", "etcd": "watched (etcd)"}
    for name, one in found.items():
        count = len(one["follow"])
        shares = [100 * (i + 1) / count for i in range(count)]
        axes.step([0, *one["follow"]], [0, *shares], where="post", label=labels[name])
    axes.set(xlabel="seconds after the change", ylabel="% of the containers", ylim=(0, 102))
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(options.plot, metadata={"Date": None})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--agents", type=int, default=500)
    add("--interval", type=float, default=120.0)
    add("--outage", type=float, default=5.0, help="intervals that nginx is away")
    add("--image", default="localhost/converge-base")
    add("--only", default="web,etcd")
    add("--plot", metavar="FILE", help="draw it (needs requirements-bench.txt)")
    options = parser.parse_args()
    missing = [name for name in ("nginx", "etcd") if not shutil.which(name)]
    if missing:
        sys.exit(f"needs {', '.join(missing)}: apt-get install nginx-light etcd-server")
    engine = shutil.which("podman") or shutil.which("docker") or sys.exit("needs podman or docker")
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="converge-fleet-") as scratch:
        root = export(str(engine), options.image, Path(scratch))
        for name, measure in (("web", by_web), ("etcd", by_etcd)):
            if name in options.only.split(","):
                folder = Path(scratch) / name
                folder.mkdir()
                folder.parent.chmod(0o755)
                found[name] = measure(root, folder, options)
                show(name, found[name], options)
    if options.plot:
        plot(found, options)


if __name__ == "__main__":
    main()
