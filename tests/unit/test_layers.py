"""Layers: which files count, how their values are merged, and who notices that they change."""

from __future__ import annotations

import os

import pytest

from converge import loading, runner
from converge.config import Settings
from converge.errors import ProfileError

TOP = """
include: [low.yaml]
vars: {a: profile, role: web}
layers:
  - hosts/{{ facts.hostname }}.yaml
  - roles/{{ role }}.yaml
  - all.yaml
resources:
  - file: /motd
    content: "{{ a }} {{ b | default('-') }} {{ c | default('-') }}"
"""
LOW = "vars: {a: low, b: low, c: low}\n"


@pytest.fixture
def content(make, tmp_path):
    """Return a function: files and overrides → the content that the one resource is given."""

    def build(files, top=TOP, **variables):
        for name, text in {"low.yaml": LOW, **files}.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        return make(top, variables).resources[0].spec["content"]

    return build


def host(text):
    return {f"hosts/{os.uname().nodename}.yaml": text}


def test_without_any_layer_the_profile_counts(content):
    assert content({}) == "profile low low"


def test_the_first_layer_that_has_a_var_wins(content):
    files = {"roles/web.yaml": "a: role\nb: role\n", "all.yaml": "a: all\nb: all\nc: all\n"}
    assert content(files) == "role role all"
    assert content({**files, **host("a: host\n")}) == "host role all"


def test_what_is_given_beats_all_and_chooses_layers(content):
    files = {"roles/web.yaml": "a: web\n", "roles/db.yaml": "a: db\n"}
    assert content(files) == "web low low"
    assert content(files, role="db") == "db low low"
    assert content(files, role="db", a="given") == "given low low"


def test_values_may_be_templates_over_all_vars(content):
    assert content({"all.yaml": "b: '{{ a }}!'\n"}, a="given") == "given given! low"


def test_an_empty_layer_is_none(content):
    assert content({"all.yaml": ""}) == "profile low low"


def test_layers_of_an_included_file_are_weaker(content):
    files = {
        "low.yaml": "vars: {a: low}\nlayers: [x.yaml, all.yaml]\n",
        "x.yaml": "a: x\nb: x\nc: x\n",
        "all.yaml": "a: all\n",
    }
    assert content(files) == "all x x"


MERGED = """
include: [low.yaml]
vars: {servers: [b, p], limits: {n: 1, x: {p: 1}}}
merge: {servers: unique, limits: deep, plain: first}
layers: [one.yaml, two.yaml]
resources:
  - file: /motd
    content: "{{ servers | to_json }} {{ limits | to_json }} {{ plain }}"
"""


def test_merged_over_includes_profile_and_layers(content):
    files = {
        "low.yaml": "vars: {servers: low, limits: {low: 1}, plain: 0}\n",
        "one.yaml": "servers: '{{ more }}'\nmore: [a, b]\nlimits: {x: {one: 1}}\n",
        "two.yaml": "limits: {n: 2, x: {p: 2, two: 1}}\nplain: 2\n",
    }
    expected = '["a", "b", "p", "low"] {"x": {"one": 1, "p": 2, "two": 1}, "n": 2, "low": 1} 2'
    assert content(files, MERGED) == expected
    assert content(files, MERGED, servers=["given"]).startswith('["given"] ')


def test_a_single_value_is_made_a_list_by_unique(content):
    top = MERGED.replace("vars: {servers: [b, p]", "vars: {servers: alone")
    assert content({"low.yaml": "vars: {plain: 0}\n"}, top).startswith('["alone"] ')


def wrong(content, files, top=TOP, **variables):
    with pytest.raises(ProfileError) as caught:
        content(files, top, **variables)
    return [
        (os.path.basename(one.file), one.line, one.message, one.remedy)
        for one in caught.value.problems
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[1]", 1, "a layer is a mapping of vars to values"),
        ("a: 1\nb-c: 2\n", 2, "`b-c` cannot name a var"),
        ("facts: 2\n", 1, "`facts` cannot name a var"),
        ("a: 1\nvars: {b: 1}\n", 2, "a layer holds vars alone, and `vars` is a key of a profile"),
        ("a: 1\na: 2\n", 2, "the key `a` is there twice"),
        ("role: db\n", 1, "the name of a layer is made of `role`, so that no layer can set it"),
        ("a: '{{ x }}'\n", 10, "in the var `a` (*/all.yaml:1): `x` is not defined"),
        ("a: '{{ a }}'\n", 10, "the var `a` refers to itself"),
    ],
)
def test_wrong_layers(content, tmp_path, text, line, message):
    ((file, found, words, _),) = wrong(content, {"all.yaml": text})
    assert found == line
    assert file == ("p.yaml" if line == 10 else "all.yaml")
    assert words.replace(str(tmp_path), "*").startswith(message)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("['../x.yaml']", "the layer `../x.yaml` is not below "),
        ("[/etc/x.yaml]", "the layer `/etc/x.yaml` is not below "),
        ("['a/{{ up }}/x.yaml']", "the layer `a/../../x.yaml` is not below "),
        ("['{{ 3 }}']", "a layer is the name of a file, not 3"),
        ("['{{ \"\" }}']", "a layer is the name of a file, not ''"),
        ("['{{ rloe }}.yaml']", "`rloe` is not defined (did you mean `role`?)"),
        ("[1]", "a layer is the name of a file, which may be a template"),
        ("[sub]", "/sub is not a regular file"),
        ("x.yaml", "`layers` must be a list"),
    ],
)
def test_wrong_names_of_layers(content, layers, message):
    top = f"vars: {{up: ../.., role: web}}\nlayers: {layers}\n"
    ((file, line, words, _),) = wrong(content, {"sub/x.yaml": "a: 1\n"}, top)
    assert (file, line) == ("p.yaml", 2)
    assert message in words


@pytest.mark.parametrize(
    ("merge", "message", "remedy"),
    [
        ("{a: uniqe}", "'uniqe' is not one of first, unique, deep", "did you mean `unique`?"),
        ("{a: [deep]}", "['deep'] is not one of first, unique, deep", "did you mean `deep`?"),
        ("deep", "`merge` must be a mapping", "write lines of `name: value`"),
        ("{a-b: deep}", "`a-b` cannot name a var", "use letters, digits and `_`, no digit first"),
    ],
)
def test_wrong_strategies(content, merge, message, remedy):
    found = wrong(content, {}, f"vars: {{a: 1}}\nmerge: {merge}\n")
    assert found == [("p.yaml", 2, message, remedy)]


def test_what_cannot_be_merged_names_the_place(content, tmp_path):
    top = MERGED.replace("limits: {n: 1, x: {p: 1}}", "limits: [1]")
    found = wrong(content, {"one.yaml": "limits: {a: 1}\n", "low.yaml": "vars: {plain: 0}\n"}, top)
    assert found[0][:2] == ("p.yaml", 8)
    assert f"at {tmp_path}/p.yaml:3 there is a list" in found[0][2]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs once, and tells whether the catalog was compiled for it."""
    for name in ("root", "state", "run"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "p.yaml").write_text(TOP)
    (tmp_path / "low.yaml").write_text(LOW)
    settings = Settings(
        profile=str(tmp_path / "p.yaml"), root=str(tmp_path / "root"),
        state_dir=str(tmp_path / "state"), runtime_dir=str(tmp_path / "run"),
    )  # fmt: skip
    compiled = loading.compiled
    calls = []
    monkeypatch.setattr(loading, "compiled", lambda *args: calls.append(1) or compiled(*args))

    def once(choose=None):
        calls.clear()
        report = runner.once(settings, runner.Asked(choose=choose))
        assert report["exit_code"] == 0, report
        return bool(calls), (tmp_path / "root/motd").read_text()

    return once


def test_a_layer_that_appears_changes_or_vanishes_is_noticed(run, tmp_path):
    layer = tmp_path / "roles/web.yaml"
    assert run() == (True, "profile low low")
    assert run() == (False, "profile low low")
    layer.parent.mkdir()
    assert run() == (False, "profile low low")
    layer.write_text("a: new\n")
    assert run() == (True, "new low low")
    assert run() == (False, "new low low")
    layer.write_text("a: changed\n")
    assert run() == (True, "changed low low")
    layer.unlink()
    assert run() == (True, "profile low low")
    assert run() == (False, "profile low low")


def test_the_agent_watches_layers_that_are_not_there(run, tmp_path):
    from converge.watching import Watching
    from converge.worker import profile_watches

    (tmp_path / "all.yaml").write_text("a: all\n")
    watching = Watching("/", [])
    run(watching.choose)
    paths = {record.split(" ", 2)[2] for record in profile_watches("/p", 0, watching.files)}
    names = ["all.yaml", "low.yaml", "p.yaml", "roles/web.yaml", *host("")]
    assert {f"{tmp_path}/{name}" for name in names} <= paths
