"""The commands, manifests and Dockerfiles of docs/platforms, run as they are written."""

from __future__ import annotations

import re

import pytest
import yaml

from container import pages
from container.platforms import PLATFORMS, swap
from container.resident import APP, agents, break_and_wait, content, until

GOOD, NEW = "workers = 4\n", "workers = 8\n"
CONF = "/srv/app/app.conf"
RUN = pages.commands("engines", "podman run")


@pytest.mark.parametrize("words", RUN, ids=range(len(RUN)))
def test_the_commands_of_engines(container, engine, image, tmp_path, words):
    file = write_profile("engines", tmp_path / "web")
    images = {"localhost/converge-base": image}
    (dockerfile,) = pages.blocks("engines", "dockerfile")
    images["localhost/web"] = build(engine, dockerfile, image, tmp_path)
    options, name, command, entrypoint = split(words, tmp_path)
    box = container(*options, image=images[name], entrypoint=entrypoint, command=tuple(command))
    break_and_wait(box, CONF, GOOD)
    assert len(agents(box)) == 1
    if any(option.endswith(":/etc/converge:ro") for option in options):
        file.write_text(pages.profile("engines").replace("4", "8"))
        until(lambda: content(box, CONF) == NEW, "what the host's profile says now")
    engine.must("stop", "--time", "30", box.name)
    alone = entrypoint == "converge" and not command
    assert box.wait() == (0 if alone else 128 + 15), "137 would be the engine's SIGKILL"


def write_profile(page, folder):
    """Write a page's profile into a folder, for everybody to read."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    file = folder / "profile.yaml"
    file.write_text(pages.profile(page))
    file.chmod(0o644)
    return file


def split(words, folder):
    """Return a command's options, image, command and entrypoint; what it names is in a folder."""
    _, run, detach, *words = [
        word.replace("$PWD", str(folder)).replace("web-conf:", f"{folder}/conf:") for word in words
    ]
    assert (run, detach) == ("run", "--detach")
    (folder / "conf").mkdir()
    at = next(i for i, word in enumerate(words) if word.startswith("localhost/"))
    options, image, command = words[:at], words[at], words[at + 1 :]
    entrypoint = options[options.index("--entrypoint") + 1] if "--entrypoint" in options else ""
    return without(options, "--name", "--entrypoint"), image, command, entrypoint


def without(words, *options):
    """Return the words without these options and their values."""
    found = list(words)
    for option in options:
        if option in found:
            at = found.index(option)
            del found[at : at + 2]
    return found


def build(engine, dockerfile, image, folder):
    """Build an image of a page's Dockerfile, on the image of this checkout."""
    (folder / "Dockerfile").write_text(dockerfile.replace("localhost/converge-base", image))
    return engine.build(str(folder))


@pytest.fixture
def apply(container, engine, tmp_path):
    """A function that starts a manifest's pod with the test's app, breaks and swaps what it keeps."""

    def run(page, *options, fs_group=0):
        pod = pages.pod(page, engine, tmp_path, fs_group=fs_group)
        box = container(*pod.options, *options, entrypoint="", command=("sh", "-c", APP))
        break_and_wait(box, CONF, GOOD)
        new = pages.profile(page).replace("4", "8")
        swap(tmp_path / "profile", {"profile.yaml": new})
        until(lambda: content(box, CONF) == NEW, "what the new version of the ConfigMap says")
        break_and_wait(box, CONF, NEW)
        engine.must("stop", "--time", str(pod.grace), box.name)
        assert box.wait() == 3, "137 would be the platform's SIGKILL"
        return pod

    return run


def test_the_manifest_of_kubernetes(apply):
    pod = apply("kubernetes")
    row = PLATFORMS["kubernetes-restricted"].options
    assert set(row) - set(pod.options) <= {"--read-only-tmpfs=false"}


def test_the_manifest_of_openshift(apply):
    """The user and the groups are what OpenShift adds."""
    added = ("--user", "1000680000:0", "--group-add", "1000680000")
    pod = apply("openshift", *added, fs_group=1000680000)
    row = PLATFORMS["openshift-read-only"].options
    assert set(row) - {*pod.options, *added} <= {"--read-only-tmpfs=false"}


def test_the_sidecar_of_kubernetes(container, engine, image, programs_image, tmp_path):
    """The pod's pause process, the init container, Debian's nginx in place of the manifest's."""
    manifest = pages.blocks("kubernetes", "yaml")[1]
    once, web, agent = pages.parts(manifest, engine, tmp_path)
    pause = container()
    share = f"--pid=container:{pause.name}"
    first = container(*once.options, entrypoint=once.entrypoint, command=once.arguments)
    assert first.wait() == 0, first.logs().err
    app = container(
        *web.options, share, image=programs_image, entrypoint="sh", command=("-c", NGINX)
    )
    until(lambda: answer(app) == "hello", "an answer of nginx")
    container(*agent.options, share, entrypoint=agent.entrypoint, command=agent.arguments)
    until(lambda: len(agents(pause)) == 1, "an agent")
    profile = next(iter(yaml.safe_load_all(manifest)))["data"]["profile.yaml"]
    swap(tmp_path / "profile", {"profile.yaml": profile.replace("hello", "goodbye")})
    until(lambda: answer(app) == "goodbye", "what the new version of the ConfigMap says")


NGINX = """
printf 'pid /tmp/pid; error_log /dev/stderr; events {} http { access_log off; include %s;
client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f;
uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s; }' '/etc/nginx/conf.d/*.conf' > /tmp/nginx.conf
exec nginx -e /dev/stderr -c /tmp/nginx.conf -g 'daemon off;'
"""


def answer(box):
    fetch = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080').read().decode())"
    return box.exec("python3", "-c", fetch).out.strip()


def test_the_image_of_cloud_foundry(container, engine, image, tmp_path):
    path = "/home/vcap/app/app.conf"
    box = made(container, engine, image, tmp_path, "cloud-foundry", "--init")
    break_and_wait(box, path, GOOD)
    assert agents(box)[0].user == "2000"
    assert box.logs().out == "ready\n"


def test_the_image_of_hephy(container, engine, image, tmp_path):
    box = made(container, engine, image, tmp_path, "hephy")
    break_and_wait(box, CONF, GOOD)
    assert agents(box)[0].user == "1000"


STARTS = {  # in place of the image's entrypoint, as a shell starts it
    "cloud-foundry": re.findall(r"^ +command: (.*)$", pages.text("cloud-foundry"), re.MULTILINE)[0],
    "hephy": re.findall(r"^ *web: (.*)$", pages.text("hephy"), re.MULTILINE)[0],
}


@pytest.mark.parametrize("page", STARTS)
@pytest.mark.parametrize("shell", [False, True], ids=["entrypoint", "shell"])
def test_the_app_of_an_image_answers_at_its_port(container, engine, image, tmp_path, page, shell):
    write_profile(page, tmp_path)
    built = build(engine, pages.blocks(page, "dockerfile")[0], image, tmp_path)
    box = container(
        "--env=PORT=8099", "--env=CONVERGE_RESIDENT=1", "--init", image=built,
        entrypoint="/bin/sh" if shell else "", command=("-c", STARTS[page]) if shell else (),
    )  # fmt: skip
    fetch = ("busybox", "wget", "-qO-", "http://127.0.0.1:8099/app.conf")
    until(lambda: box.exec(*fetch).out == GOOD, "an answer")


def made(container, engine, image, folder, page, *options):
    """Start a page's image with the app of these tests; --init: PID 1 is the platform's own."""
    write_profile(page, folder)
    (dockerfile,) = pages.blocks(page, "dockerfile")
    built = build(engine, dockerfile, image, folder)
    return container(
        "--env=CONVERGE_RESIDENT=1", *options, image=built, entrypoint="",
        command=("sh", "-c", APP),
    )  # fmt: skip
