"""The kind `cron` with the real cron, by a clock that runs sixty times as fast."""

from __future__ import annotations

from container.resident import until

JOBS = [
    {
        "cron": "often", "user": "www-data", "schedule": "* * * * *", "environment": {"A": "b  c"},
        "command": 'echo "$A $(id -un) $(date +%Y | wc -c) 5%" >>/srv/often',
    },
    {"cron": "words", "minute": "*/1", "command": ["touch", "/srv/a $b%"]},
    {"cron": "boot", "schedule": "@reboot", "command": "echo booted >>/srv/boot"},
    {"cron": "never", "schedule": "0 0 31 feb *", "command": "touch /srv/never"},
    {"directory": "/srv", "mode": "0777", "force": True},
]  # fmt: skip


def test_jobs_are_run_as_declared_until_they_are_gone(container, programs_image):
    box = container(image=programs_image, profile={"resources": JOBS})
    assert box.report("--once")["counts"]["changed"] == 5
    assert box.report("--once")["counts"]["in_sync"] == 5
    assert box.exec("sh", "-c", "faketime -f '+0 x60' cron -f >/dev/null 2>&1 &").code == 0
    until(lambda: box.exec("cat", "/srv/often").out.count("\n") > 1, "two runs")
    assert box.exec("sort", "-u", "/srv/often").out == "b  c www-data 5 5%\n"
    until(lambda: box.exec("test", "-e", "/srv/a $b%").code == 0, "the file of `words`")
    assert box.read("/srv/boot") == "booted\n"
    assert box.exec("test", "-e", "/srv/never").code == 1
    gone = [{"cron": ["often", "words", "boot", "never"], "state": "absent"}]
    box.profile({"resources": gone})
    assert box.report("--once")["counts"]["changed"] == 4
    assert box.exec("ls", "-A", "/etc/cron.d").out.split() == [".placeholder", "e2scrub_all"]
