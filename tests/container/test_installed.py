"""What the base image holds: all of it works, and it stays small."""

from __future__ import annotations

import sys

from container.engine import REPOSITORY

sys.path.append(str(REPOSITORY / "bench"))

LIMIT = 45_000_000
IMPORT_ALL = """
import importlib, os, pkgutil, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
library = os.path.dirname(os.__file__)
folders = [library, library + "/lib-dynload", library + "/dist-packages"]
def names(folders, prefix=""):
    for module in pkgutil.iter_modules(folders, prefix):
        yield module.name
        if module.ispkg:
            below = os.path.join(module.module_finder.path, module.name.rpartition(".")[2])
            yield from names([below], module.name + ".")
found = [name for name in names(folders) if not name.endswith("__main__")]
for name in found:
    try:
        importlib.import_module(name)
    except BaseException as error:
        print(f"{name}: {type(error).__name__}: {error}")
print(len(found), "modules", *{name.partition(".")[0] for name in found})
"""
EXPECTED = {
    "converge", "converge_resources", "jinja2", "nacl", "psutil", "pydantic", "requests", "rich",
    "yaml", "asyncio", "ctypes", "json", "ssl", "xml",
}  # fmt: skip


def test_every_module_in_the_image_can_be_imported(engine, image):
    entry = ("--entrypoint=/opt/converge/bin/python", image, "-IB", "-")
    done = engine.call("run", "--rm", "-i", "--network=none", *entry, stdin=IMPORT_ALL)
    *failed, last = done.out.splitlines()
    assert failed == []
    count, _, *packages = last.split()
    assert int(count) > 500
    assert set(packages) >= EXPECTED


def test_requests_is_content_with_what_is_there(engine, image):
    entry = ("--entrypoint=/opt/converge/bin/python", image, "-I", "-W", "error", "-c")
    done = engine.call("run", "--rm", "--network=none", *entry, "import requests")
    assert (done.code, done.err) == (0, "")


def test_signatures_are_made_and_checked(engine, image):
    script = (
        "from nacl.bindings import crypto_sign, crypto_sign_keypair, crypto_sign_open\n"
        "public, secret = crypto_sign_keypair()\n"
        "print(crypto_sign_open(crypto_sign(b'text', secret), public))\n"
    )
    entry = ("--entrypoint=/opt/converge/bin/python", image, "-I", "-c", script)
    assert engine.must("run", "--rm", "--network=none", *entry) == "b'text'"


def test_the_agent_and_its_python_add_at_most_45_mb(engine, image):
    from size import added

    parts = added(engine.program, image, "debian:bookworm-slim")
    assert parts["Python itself"] > 5_000_000  # it was measured at all
    assert sum(parts.values()) <= LIMIT, parts
