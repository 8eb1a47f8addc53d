"""Reports and metrics as a real Prometheus, its tools and a Pushgateway take them."""

from __future__ import annotations

import json
import re

import pytest

from container.engine import REPOSITORY, Container
from container.resident import until

PROFILE = {"resources": [{"file": "/dev/shm/app.conf", "content": "good\n"}]}
SCRAPE = """
global: {scrape_interval: 1s}
scrape_configs: [{job_name: converge, static_configs: [{targets: ["127.0.0.1:9464"]}]}]
"""
START = (
    "prometheus-pushgateway --web.listen-address=127.0.0.1:9091 & "
    "exec prometheus --config.file=/etc/scrape.yaml --storage.tsdb.path=/tmp/tsdb "
    "--web.listen-address=127.0.0.1:9090"
)


@pytest.fixture(scope="module")
def monitor(engine, image, tmp_path_factory):
    """A container with Prometheus, which scrapes what is on its loopback device, and a Pushgateway."""
    made = Container(engine, tmp_path_factory.mktemp("monitor") / "profile.yaml")
    built = engine.build(
        "-",
        stdin=f"FROM {image}\nRUN apt-get update && apt-get install -y --no-install-recommends"
        " prometheus prometheus-pushgateway curl\n"
        f"RUN printf %b {json.dumps(SCRAPE)} > /etc/scrape.yaml\n",
    )
    engine.must(
        "run", "--detach", "--name", made.name, "--network", "none",
        f"--volume={REPOSITORY}/deploy:/deploy:ro", "--entrypoint", "/usr/bin/tini", built,
        "--", "sh", "-c", START,
    )  # fmt: skip
    yield made
    made.remove()


def test_the_rules_fire_when_they_should(monitor):
    checked = monitor.exec("promtool", "check", "rules", "/deploy/prometheus/converge.rules.yaml")
    assert checked.code == 0, checked.err
    tested = monitor.exec(
        "promtool", "test", "rules", "/deploy/prometheus/converge.rules.test.yaml"
    )
    assert tested.code == 0, tested.out + tested.err


def test_every_query_of_the_dashboard_is_one_over_metrics_that_there_are(monitor):
    dashboard = json.loads((REPOSITORY / "deploy/grafana/converge.json").read_text())
    queries = [t["expr"] for panel in dashboard["panels"] for t in panel["targets"]]
    known = (REPOSITORY / "docs/metrics.md").read_text()
    for name in set(re.findall(r"converge_[a-z_]+", "\n".join(queries))):
        assert name.removesuffix("_bucket") in known
    rules = [
        {"record": f"x:{i}", "expr": expr.replace("$__rate_interval", "5m").replace("$job", "x")}
        for i, expr in enumerate(queries)
    ]
    monitor.write("/tmp/rules.yaml", json.dumps({"groups": [{"name": "x", "rules": rules}]}))
    checked = monitor.exec("promtool", "check", "rules", "/tmp/rules.yaml")
    assert checked.code == 0, checked.err


def test_a_fleet_by_prometheus_and_by_pushgateway(monitor, container):
    box = container(
        f"--network=container:{monitor.name}", "--env=CONVERGE_METRICS_LISTEN=127.0.0.1:9464",
        "--env=CONVERGE_REPORT_TO=pushgateway+http://127.0.0.1:9091",
        profile=PROFILE, entrypoint="converge", command=(),
    )  # fmt: skip

    def fleet():
        done = box.converge("fleet", "http://127.0.0.1:9090", "--json")
        return done.json["containers"] if done.out.startswith("{") else []

    until(lambda: fleet() and fleet()[0]["success"] > 0, "a member that converged")
    assert fleet()[0]["standing"] in ("converged", "drifting")
    pushed = ("curl", "-s", "http://127.0.0.1:9091/metrics")
    until(
        lambda: "converge_last_success_timestamp_seconds{" in monitor.exec(*pushed).out, "metrics"
    )


def test_reports_of_several_containers_in_one_volume(container, tmp_path):
    shared = tmp_path / "reports"
    shared.mkdir()
    boxes = [
        container(
            f"--volume={shared}:/reports", f"--hostname=web-{i}",
            "--env=CONVERGE_REPORT_TO=file:/reports", profile=PROFILE,
        )
        for i in range(3)
    ]  # fmt: skip
    for box in boxes:
        box.report("--once")
    boxes[2].profile({"resources": [{"file": "/no/such/folder/x", "content": "x"}]})
    boxes[2].converge("--once")
    found = boxes[0].converge("fleet", "/reports", "--json").json
    standings = {one["name"]: one["standing"] for one in found["containers"]}
    assert standings == {"web-0": "drifting", "web-1": "drifting", "web-2": "failed"}
