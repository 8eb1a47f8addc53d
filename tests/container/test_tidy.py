"""The kind `tidy` in a container: real times, a real mount, what find(1) says is left."""

from __future__ import annotations

MAKE = """
set -e
cd /var/tmp/x
mkdir -p old/deep new kept
for file in old/deep/a old/b kept/c mounted/d e; do echo x > $file; touch -d '10 days ago' $file; done
echo x > new/f
head -c 3000 /dev/zero > large
ln -s /etc/hostname link
touch -h -d '10 days ago' link
mkfifo pipe
touch -d '10 days ago' pipe
echo x > kept/managed
touch -d '10 days ago' kept/managed old/deep old kept new
"""
TIDY = {"tidy": "/var/tmp/x", "age": "7d", "size": "2k", "recurse": True, "rmdirs": True}
MANAGED = {"file": "/var/tmp/x/kept/managed", "mode": "0644"}


def test_what_is_old_or_large_goes(container):
    box = container(
        "--tmpfs", "/var/tmp/x/mounted", profile={"resources": [TIDY, MANAGED]}
    )  # fmt: skip
    made = box.exec("sh", "-c", MAKE)
    assert made.code == 0, made.err
    plan = box.report("plan")
    assert plan["exit_code"] == 2
    assert [one["id"] for one in plan["resources"]] == ["tidy:/var/tmp/x"]
    report = box.report("--once")
    assert [one["outcome"] for one in report["resources"]] == ["changed"]
    left = box.exec("find", "/var/tmp/x", "-mindepth", "1", "-printf", "%P\n").out
    assert sorted(left.split()) == [
        "kept",
        "kept/managed",
        "mounted",
        "mounted/d",
        "new",
        "new/f",
        "pipe",
    ]
    assert box.exec("test", "-e", "/etc/hostname").code == 0
    assert box.report("--once")["resources"] == []


def test_a_run_that_would_remove_much_is_stopped(container):
    profile = {"resources": [{"tidy": "/var/tmp/y", "age": "1d"}]}
    box = container(profile=profile)
    many = "mkdir /var/tmp/y; cd /var/tmp/y; touch -d '2 days ago' $(seq 60)"
    box.exec("sh", "-c", many)
    done = box.converge("--once")
    assert done.code == 1
    assert "--allow-deletions 60" in done.err
    assert len(box.exec("ls", "/var/tmp/y").out.split()) == 60
    assert box.converge("--once", "--allow-deletions", "60").code == 0
    assert box.exec("ls", "/var/tmp/y").out == ""
