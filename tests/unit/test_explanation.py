"""`converge explain`: where each value comes from, and what it overrides."""

from __future__ import annotations

import json

import pytest

from converge import commands
from converge.cli import main
from converge.config import Settings
from converge.errors import ProfileError, UsageError
from converge.explain.explanation import explain, explain_var

PROFILE = """\
include: [base.yaml]
vars:
  role: web
  who: profile
  greeting: "hello {{ who }} on {{ facts.os.id }} {{ facts['kernel'].name }}"
  servers: [p]
layers: ["roles/{{ role }}.yaml"]
merge: {servers: unique}
resources:
  - file: /etc/motd
    content: "{{ greeting }}, {{ servers | join(' ') }}\\n"
    mode: "0644"
    when: role == 'web'
  - file: "/etc/{{ key }}"
    for_each: {a: x, b: "{{ who }}"}
    content: "{{ item }}"
  - file: /etc/secret.key
    content: "{{ token }}"
    show_diff: false
  - file: /etc/plain
    content: x
"""


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "roles").mkdir()
    (tmp_path / "p.yaml").write_text(PROFILE)
    (tmp_path / "base.yaml").write_text("vars: {servers: b, who: base, token: hush, unused: 1}\n")
    (tmp_path / "roles/web.yaml").write_text("servers: [l]\n")
    return Settings(
        profile=str(tmp_path / "p.yaml"), root=str(tmp_path / "root"),
        state_dir=str(tmp_path / "state"), color="never",
    )  # fmt: skip


def origins(var, tmp_path):
    return [
        (one["source"], one["place"].removeprefix(f"{tmp_path}/"), one["value"], one["counts"])
        for one in var["origins"]
    ]


def test_a_var_and_what_it_overrides(settings, tmp_path):
    found = explain_var(settings, "who")
    assert (found["id"], found["value"], found["merge"]) == ("var:who", "profile", "first")
    assert origins(found, tmp_path) == [
        ("profile", "p.yaml:4", "profile", True),
        ("include", "base.yaml:1", "base", False),
    ]
    assert found["used_by"] == [
        {"id": "file:/etc/motd", "attributes": ["content"]},
        {"id": "file:/etc/a", "attributes": ["for_each"]},
        {"id": "file:/etc/b", "attributes": ["for_each"]},
    ]


def test_a_merged_var(settings, tmp_path):
    found = explain_var(settings, "servers")
    assert (found["value"], found["merge"]) == (["l", "p", "b"], "unique")
    assert origins(found, tmp_path) == [
        ("layer", "roles/web.yaml:1", ["l"], True),
        ("profile", "p.yaml:6", ["p"], True),
        ("include", "base.yaml:1", "b", True),
    ]


def test_what_is_given_names_the_flag_and_the_variable(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("CONVERGE_VAR_who", "env")
    found = explain_var(settings.replace(vars={"who": "flag"}), "who")
    assert origins(found, tmp_path)[:3] == [
        ("option", "--var who", "flag", True),
        ("environment", "CONVERGE_VAR_who", "env", False),
        ("profile", "p.yaml:4", "profile", False),
    ]
    found = explain_var(settings.replace(vars={"who": "env"}), "who")
    assert origins(found, tmp_path)[0] == ("environment", "CONVERGE_VAR_who", "env", True)


def test_what_a_var_reads(settings):
    assert explain_var(settings, "greeting")["uses"] == ["facts.kernel.name", "facts.os.id", "who"]


def test_a_resource_with_its_attributes_and_all_vars_behind_them(settings, tmp_path):
    found = explain(settings, "file:/etc/motd")
    assert list(found["vars"]) == ["greeting", "role", "servers", "who"]
    content = found["attributes"]["content"]
    assert content["place"] == f"{tmp_path}/p.yaml:11"
    assert content["uses"] == ["greeting", "servers"]
    assert found["attributes"]["when"]["uses"] == ["role"]
    assert found["attributes"]["file"] == {
        "place": f"{tmp_path}/p.yaml:10", "written": "/etc/motd", "uses": [],
    }  # fmt: skip
    json.dumps(found)


def test_one_attribute_has_only_its_own_vars(settings):
    assert list(explain(settings, "file:/etc/motd", "when")["vars"]) == ["role"]
    assert list(explain(settings, "file:/etc/motd", "mode")["vars"]) == []
    assert explain(settings, "file:/etc/motd", "owner")["declared"]["owner"] is None


def test_an_item_comes_from_for_each(settings):
    found = explain(settings, "file:/etc/b", "content")
    assert found["attributes"]["content"]["uses"] == ["item"]
    assert list(found["vars"]) == ["who"]


@pytest.mark.parametrize(
    ("name", "attribute", "message"),
    [
        ("file:/etc/mot", None, "the profile declares no file:/etc/mot (did you mean"),
        ("file:/etc/motd", "mod", "file:/etc/motd has no attribute `mod` (did you mean `mode`?)"),
    ],
)
def test_what_is_not_there(settings, name, attribute, message):
    with pytest.raises(UsageError) as caught:
        explain(settings, name, attribute)
    assert str(caught.value).startswith(message)


def test_a_var_that_nothing_sets(settings):
    with pytest.raises(
        UsageError, match=r"nothing sets a var 'sever' \(did you mean `servers`\?\)"
    ):
        explain_var(settings, "sever")


def test_what_is_hidden_in_a_resource_is_hidden_here(settings):
    found = explain(settings, "file:/etc/secret.key")
    assert "hush" not in json.dumps(found)
    assert found["vars"]["token"]["value"] == "[hidden]"
    assert found["vars"]["token"]["origins"][0]["source"] == "include"
    found = explain_var(settings, "token")
    assert "hush" not in json.dumps(found)
    assert found["used_by"] == [{"id": "file:/etc/secret.key", "attributes": ["content"]}]


def test_the_content_of_a_template_comes_from_what_that_reads(settings, tmp_path):
    (tmp_path / "t.j2").write_text("{{ who }} {{ token }}\n")
    resource = "  - file: /etc/site.conf\n    template: t.j2\n"
    (tmp_path / "p.yaml").write_text(PROFILE.partition("  - file: /etc/secret")[0] + resource)
    found = explain(settings, "file:/etc/site.conf", "content")
    assert list(found["vars"]) == ["token", "who"]
    assert found["attributes"]["content"]["written"] == "t.j2"
    assert "hush" in json.dumps(found)
    assert explain_var(settings, "token")["used_by"] == [
        {"id": "file:/etc/site.conf", "attributes": ["content"]}
    ]
    (tmp_path / "p.yaml").write_text((tmp_path / "p.yaml").read_text() + "    show_diff: false\n")
    assert "hush" not in json.dumps(explain(settings, "file:/etc/site.conf"))
    assert "hush" not in json.dumps(explain_var(settings, "token"))


def test_a_var_that_cannot_be_rendered_is_told_in_a_wrong_profile(settings, tmp_path):
    text = PROFILE.replace("hello {{ who }}", "hello {{ woh }}")
    (tmp_path / "p.yaml").write_text(text)
    found = explain_var(settings, "greeting")
    assert "`woh` is not defined (did you mean `who`?)" in found["error"]
    assert found["value"] is None
    with pytest.raises(ProfileError):
        explain(settings, "file:/etc/motd")


def shown(settings, capsys, *arguments):
    assert commands.explain(settings, *arguments) == 0
    return capsys.readouterr().out


def test_for_people(settings, tmp_path, capsys):
    text = shown(settings, capsys, "file:/etc/motd", "content").replace(str(tmp_path), "*")
    lines = text.splitlines()
    assert lines[:2] == ["file:/etc/motd", "  declared at */p.yaml:10"]
    assert "      from */p.yaml:11: {{ greeting }}, {{ servers | join(' ') }}\\n" in lines
    assert '  var servers = ["l", "p", "b"]' in lines
    assert '    from layer */roles/web.yaml:1, merged (unique): ["l"]' in lines
    assert "    overrides included file */base.yaml:1: base" in lines
    assert not any("now:" in line for line in lines)
    text = shown(settings, capsys, "var:who").replace(str(tmp_path), "*")
    assert text.splitlines() == [
        "var who = profile",
        "  from profile */p.yaml:4: profile",
        "  overrides included file */base.yaml:1: base",
        "  used by file:/etc/motd: content",
        "  used by file:/etc/a: for_each",
        "  used by file:/etc/b: for_each",
    ]


def test_an_attribute_that_is_plain_or_not_written(settings, tmp_path, capsys):
    text = shown(settings, capsys, "file:/etc/motd", "mode").replace(str(tmp_path), "*")
    assert "    mode: 0644\n      from */p.yaml:12\n" in text
    text = shown(settings, capsys, "file:/etc/motd", "owner")
    assert "    owner: null\n      the default, or made of other attributes\n" in text


def test_a_var_has_no_attributes(settings):
    with pytest.raises(UsageError, match="a var has no attributes"):
        commands.explain(settings, "var:who", "x")


def test_the_command_line_takes_an_attribute(settings, capsys):
    words = ["explain", "file:/etc/plain", "mode", "--profile", settings.profile,
             "--root", settings.root, "--state-dir", settings.state_dir]  # fmt: skip
    assert main(words) == 0
    assert "mode: null" in capsys.readouterr().out
