"""`include: [system:…]` against systemd's own programs, with what real Debian packages ship."""

from __future__ import annotations

import pytest

PACKAGES = "tini systemd postgresql-common sudo dbus procps man-db screen polkitd lighttpd"
PROFILE = """
profile: packages
include: [system:tmpfiles, system:sysusers, system:sysctl]
"""
OURS = """
mkdir -p /etc/tmpfiles.d /etc/sysusers.d /usr/share/factory/etc/made
ln -s /dev/null /etc/tmpfiles.d/home.conf; chmod 700 /home
echo one > /usr/share/factory/etc/made/a; ln -s a /usr/share/factory/etc/made/l
mkdir /usr/share/factory/etc/made/sub; chmod 700 /usr/share/factory/etc/made/sub
touch /srv/x.z /srv/y.z /srv/owned /srv/far; chown 432:433 /srv/owned; chown 4321:4322 /srv/far
mkdir -p /srv/tree/deep; touch /srv/tree/deep/f; ln -s x /srv/there
chown daemon /srv/y.z; mkfifo /srv/fifo; chmod 400 /srv/tree/deep/f
cat > /etc/tmpfiles.d/own.conf <<'X'
d  "/srv/with space"   2770 daemon  games   -  -
d  /srv/a/b/c          -    -       -       -
f  /srv/new/file       0600 games   -       -  two\\x20words {{ %% }} %o\\n
f+ /srv/x.z            -    -       -       -  replaced
L  /srv/links/factory
L  /srv/there          -    -       -       -  elsewhere
L+ /srv/y.z            -    -       -       -  x.z
C  /etc/made           0750 -       games
z  /srv/*.z            0640 root    games
Z  /srv/tree           0711 daemon  games
d= /srv/fifo           0750 -       -
e  /srv/tr?e           -    -       -       -
d  /var/run/legacy     0700 :games  -
x  /srv/tree
X
cat > /etc/sysusers.d/own.conf <<'X'
u  svc       777             "A service"   /srv/svc   /bin/sh
u  other     776:games       -
u  _file     /srv/owned
u  _far      /srv/far
g  crew      775
m  svc       crew
m  www-data  crew
m  implied   made
X
rm -rf /run/lighttpd /run/postgresql /run/dbus /var/log/lighttpd /var/cache/lighttpd /run/systemd
rm -rf /var/lib/dbus /run/sudo /run/lock /run/shm /run/user
for user in messagebus polkitd; do userdel $user; done
"""
LIST = """
find /run /var /etc /srv /tmp /home /root -xdev \\( -name converge -o -name 'converge-*' \\) -prune -o \\
  -printf '%p %y %m %u:%g %l\\n' | sort
"""
ACCOUNTS = "cut -d: -f1,5- /etc/passwd | sort; cut -d: -f1,4 /etc/group | sort"
# What is systemd's alone (lines with `!` that write), the machine's, or changes by being looked at.
ELSEWHERE = ("/run/nologin", "/run/utmp", "/var/lib/systemd", "/etc/passwd-", "/etc/group-",
    "/etc/shadow-", "/etc/gshadow-", "/etc/.pwd.lock", "/run/systemd ", "/etc/.updated", "/var/.updated",
    "/run/secrets", "/run/.containerenv", "/var/log/journal")  # fmt: skip


@pytest.fixture(scope="module")
def packages_image(engine, image):
    lines = (
        "FROM debian:bookworm-slim",
        f"RUN apt-get update && apt-get install -y --no-install-recommends {PACKAGES}",
        f"COPY --from={image} /opt/converge /opt/converge",
        "RUN ln -s /opt/converge/bin/converge /usr/local/bin/converge && mkdir -p /etc/converge",
    )
    return engine.build("-", stdin="\n".join(lines))


def listing(box):
    lines = box.exec("bash", "-euc", LIST).out.splitlines()
    return {line for line in lines if not line.startswith(ELSEWHERE)}


def accounts(box):
    """Return each line without its numbers, the members of a group in order."""
    lines = box.exec("bash", "-c", ACCOUNTS).out.splitlines()
    return {
        ":".join(",".join(sorted(field.split(","))) for field in line.split(":")) for line in lines
    }


def test_as_systemd_does_it(container, packages_image):
    box = container(image=packages_image, profile=PROFILE)
    real = container(image=packages_image)
    for one in (box, real):
        assert one.exec("bash", "-euc", OURS).code == 0
    assert listing(box) == listing(real) | {
        line for line in listing(box) if "/etc/converge" in line
    }
    assert real.exec("systemd-sysusers").code == 0
    done = real.exec("systemd-tmpfiles", "--create", "--boot")
    report = box.report("--once")
    troubled = [one for one in report["resources"] if one["outcome"] not in ("changed", "in_sync")]
    assert [one["id"] for one in troubled if one["kind"] != "sysctl"] == [], done.err
    assert report["exit_code"] == 0
    extra, missing = listing(box) - listing(real), listing(real) - listing(box)
    assert (sorted(extra), sorted(missing)) == ([], [])
    ours, theirs = accounts(box), accounts(real)
    assert (ours - theirs, theirs - ours) == (set(), set())
    for path in ("/srv/new/file", "/srv/x.z", "/etc/made/a"):
        assert box.read(path) == real.read(path)
    for name in ("svc", "other", "_file"):
        assert box.exec("id", name).out == real.exec("id", name).out
    assert box.report("plan")["exit_code"] == 0
    assert box.report("--once")["counts"]["changed"] == 0


OWN = (
    PROFILE
    + """
resources:
  - directory: /run/sudo
    mode: "0755"
  - user: svc
    uid: 779
  - sysctl: fs.protected_fifos
    value: 1
    persist: false
    on_unmanageable: skip
"""
)


def test_what_is_not_done_is_told_and_what_changes_is_noticed(container, packages_image):
    box = container(image=packages_image, profile=OWN)
    box.exec("mkdir", "-p", "/etc/sysusers.d", "/etc/tmpfiles.d")
    box.write("/etc/sysusers.d/own.conf", "u svc 778\n")
    box.write(
        "/etc/tmpfiles.d/own.conf", "d /srv/one 0700\nr /srv/old\nd /srv/two 0700 - - 3d\n?\n"
    )
    told = box.converge("validate", "/etc/converge/profile.yaml")
    assert told.code == 0, told.err
    for said in (
        "/etc/tmpfiles.d/own.conf:2:1: nothing is removed (`r`) (declare a `tidy`, or what is",
        "/etc/tmpfiles.d/own.conf:3:1: what is older than 3d is not removed (declare `tidy: /srv/two`)",
        "/etc/tmpfiles.d/own.conf:4:1: '?' is no line of tmpfiles.d(5)",
        "/usr/lib/tmpfiles.d/provision.conf:13:1: credentials (`^`) are systemd's alone",
    ):
        assert f"warning: {said}" in told.err
    first = box.report("--once")
    assert first["exit_code"] == 0, first
    assert any("own.conf:4:1" in message for message in first["messages"])
    assert box.stat("/run/sudo", "%a") == "755"  # the profile's own word counts
    assert box.exec("id", "-u", "svc").out == "779\n"
    assert box.stat("/srv/one") == "700 root:root"
    settled = box.report("--once")
    again = box.report("--once")
    assert (settled["counts"]["changed"], again["messages"]) == (0, [])  # nothing was compiled
    box.write("/etc/tmpfiles.d/own.conf", "d /srv/one 0750\n")
    assert box.report("--once")["counts"]["changed"] == 1
    assert box.stat("/srv/one") == "750 root:root"
    box.exec("chmod", "666", "/etc/tmpfiles.d/own.conf")
    box.exec("chmod", "700", "/srv/one")
    report = box.report("--once")
    assert any("own.conf: it is left out" in message for message in report["messages"])
    assert box.stat("/srv/one", "%a") == "700"
    explained = box.converge("explain", "directory:/run/lighttpd")
    assert "/usr/lib/tmpfiles.d/lighttpd.tmpfile.conf:1" in explained.out
