"""What container platforms impose, as options of `podman run` or `docker run`.

Sources: OpenShift's security context constraints (`oc describe scc restricted-v2`), Kubernetes' pod
security standards, Cloud Foundry's cflinuxfs stacks and "How Apps Are Managed", the launcher of its
images (launcher/main.go of dockerapplifecycle), the controller of Hephy Workflow, which was Deis
(rootfs/api/models/app.py): both start a given command by a shell, in place of the image's
entrypoint. Deis gave ten seconds to stop, Hephy gives thirty. Kubernetes mounts an
emptyDir 0777 and, with fsGroup, 02777 of that group; a folder here, as a tmpfs that an engine mounts
over a directory of the image gets that directory's mode.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from container.engine import Engine

NO_RIGHTS = ("--cap-drop=ALL", "--security-opt", "no-new-privileges")
READ_ONLY = ("--read-only", "--read-only-tmpfs=false")  # the second is podman's alone
OPENSHIFT = ("--user", "1000680000:0", "--group-add", "1000680000", *NO_RIGHTS)
VCAP = {"HOME": "/home/vcap", "USER": "vcap", "PORT": "8080", "TMPDIR": "/home/vcap/tmp"}
STACK = (
    "RUN groupadd -g 2000 vcap && useradd -u 2000 -g 2000 -m -s /bin/bash vcap"
    " && install -d -o 2000 -g 2000 /home/vcap/app /home/vcap/tmp"
)


class Platform(NamedTuple):
    """How a platform starts a container.

    `writable` is a directory that the user may write, `empty` are emptyDir volumes, `grace` is how
    many seconds pass between SIGTERM and SIGKILL, `image` is what its images have besides.
    """

    options: tuple[str, ...]
    writable: str
    empty: tuple[str, ...] = ()
    fs_group: int = 0
    grace: int = 30
    image: str = ""

    def arguments(self, engine: Engine, folder: Path) -> list[str]:
        """Return the options for `engine run`; the volumes are made in `folder`."""
        known = [
            one
            for one in self.options
            if engine.program == "podman" or one != "--read-only-tmpfs=false"
        ]
        for mount in self.empty:
            volume = folder / mount.strip("/").replace("/", "-")
            known.append(f"--volume={empty_dir(volume, self.fs_group)}:{mount}")
        return known


PLATFORMS = {
    "openshift": Platform(OPENSHIFT, "/tmp"),
    "openshift-read-only": Platform((*OPENSHIFT, *READ_ONLY), "/dev/shm"),
    "openshift-volumes": Platform(
        (*OPENSHIFT, *READ_ONLY), "/run", ("/run", "/tmp", "/var/lib/converge"), 1000680000
    ),
    "cloud-foundry": Platform(
        (
            *("--user", "2000:2000", "--workdir", "/home/vcap/app", *NO_RIGHTS),
            *(f"--env={name}={value}" for name, value in VCAP.items()),
        ),
        "/home/vcap/app",
        grace=10,
        image=STACK,
    ),
    "hephy": Platform(("--user", "1000:1000", "--env=PORT=5000"), "/tmp", grace=10),
    "kubernetes": Platform(READ_ONLY, "/run", ("/run", "/var/lib/converge")),
    "kubernetes-no-capabilities": Platform(
        (*NO_RIGHTS, *READ_ONLY), "/run", ("/run", "/var/lib/converge")
    ),
    "kubernetes-restricted": Platform(
        ("--user", "10001:10001", *NO_RIGHTS, *READ_ONLY), "/run", ("/run", "/var/lib/converge")
    ),
}


def empty_dir(folder: Path, fs_group: int = 0) -> Path:
    """Make a volume as kubelet makes an emptyDir: root's, for all to write, of the fsGroup."""
    folder.mkdir(parents=True)
    if fs_group and os.geteuid() == 0:
        os.chown(folder, 0, fs_group)
    folder.chmod(0o2777 if fs_group else 0o777)
    return folder


def swap(folder: Path, files: dict[str, str], mode: int = 0o644) -> None:
    """Write a ConfigMap's (or Secret's) files into its volume as kubelet does.

    The steps are those of `AtomicWriter.Write` in Kubernetes' pkg/volume/util/atomic_writer.go:
    a new directory with a time for a name, links to `..data/NAME`, `..data` renamed over the old
    one, and what is not wanted any more removed. Nothing is done if nothing differs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)
    data = folder / "..data"
    old = folder / data.readlink() if data.is_symlink() else None
    before = _content(old) if old else {}
    if old and before == files:
        return
    new = _timestamped(folder, files, mode)
    for name in _top(files):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    (folder / "..data_tmp").symlink_to(new.name)
    (folder / "..data_tmp").rename(data)
    for name in _top(before) - _top(files):
        (folder / name).unlink()
    if old:
        shutil.rmtree(old)


def _timestamped(folder: Path, files: dict[str, str], mode: int) -> Path:
    prefix = datetime.now(UTC).strftime("..%Y_%m_%d_%H_%M_%S.")
    new = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
    new.chmod(0o755)
    for name, text in files.items():
        file = new / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
    return new


def _content(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def _top(files: dict[str, str]) -> set[str]:
    return {name.partition("/")[0] for name in files}
