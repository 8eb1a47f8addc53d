"""The kind `limits` as the sessions of the real pam_limits have it."""

from __future__ import annotations

LIMITS = [
    {"user": "app", "shell": "/bin/bash"},
    {"limits": "files", "domain": "app", "item": "nofile", "value": 321},
    {"limits": "less at first", "domain": "app", "type": "soft", "item": "nofile", "value": 123},
    {"limits": "no core", "domain": "*", "type": "hard", "item": "core", "value": 0},
]


def ulimit(box, user, *options):
    """Return the limits of a new session of a user's."""
    done = box.exec("su", user, "-c", "; ".join(f"ulimit {option}" for option in options))
    return done.out.split()


def test_what_a_session_has(container, programs_image):
    box = container(image=programs_image, profile={"resources": LIMITS})
    most = int(box.exec("sh", "-c", "ulimit -Hn").out)
    assert box.report("--once")["counts"]["changed"] == 4
    assert box.report("--once")["counts"]["in_sync"] == 4
    assert ulimit(box, "app", "-Sn", "-Hn", "-Hc") == ["123", "321", "0"]
    assert ulimit(box, "root", "-Hn") == [str(most)]

    more = {"limits": "files", "domain": "app", "item": "nofile", "value": most + 1}
    box.profile({"resources": [more, {**LIMITS[2], "state": "absent"}]})
    found = {one["id"]: one for one in box.report("--once")["resources"]}
    assert found["limits:less at first"]["outcome"] == "changed"
    told = found["limits:files"]
    assert (told["outcome"], told["reason"]) == (
        "unmanageable",
        f"the container's own limit is {most}, and nothing here may raise it",
    )
    assert ulimit(box, "app", "-Sn", "-Hn") == ["321", "321"]
    # What the verdict is about: pam_limits leaves the limit as it was, and tells nobody.
    path = "/etc/security/limits.d/60-converge.conf"
    box.write(path, f"app - nofile {most + 1}\n")
    assert ulimit(box, "app", "-Hn") == [str(most)]
