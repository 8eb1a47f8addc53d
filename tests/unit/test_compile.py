"""From YAML to catalog, and every error with its place and remedy."""

from __future__ import annotations

import json

import pytest

from converge import catalog
from converge.errors import ProfileError
from converge.language import hints


def problems(caught):
    return [
        (found.line, found.column, found.resource, found.message, found.remedy)
        for found in caught.value.problems
    ]


def test_resources_come_in_waves_with_their_places(make):
    found = make(
        "profile: web\nresources:\n  - thing: b\n    require: thing:a\n    value: 3\n  - thing: a\n"
    )
    assert found.profile == "web"
    assert [(one.id, one.wave, one.line) for one in found.resources] == [
        ("thing:a", 0, 6),
        ("thing:b", 1, 3),
    ]
    assert found.resources[1].after == ("thing:a",)
    assert found.resources[1].spec == {"name": "b", "state": "present", "value": 3, "size": None}


def whole(resource):
    return resource.replace(spec=resource.whole_spec())


def test_a_catalog_is_plain_data(make):
    found = make(
        "resources:\n  - thing: [a, b]\n    tags: [x, y]\n    notify: thing:t\n"
        "  - thing: t\n    when: 1 == 1\n"
    )
    again = catalog.load(json.loads(json.dumps(found.dump())))
    again = again.replace(resources=tuple(map(whole, again.resources)))
    assert again == found
    with pytest.raises(ValueError, match="version 99"):
        catalog.load({**found.dump(), "version": 99})


def test_a_list_of_names_is_several_resources(make):
    found = make("resources:\n  - thing: [a, b]\n    value: 2\n")
    assert [one.id for one in found.resources] == ["thing:a", "thing:b"]
    assert {one.spec["value"] for one in found.resources} == {2}


def test_vars_weak_to_strong(make):
    text = (
        "include: [low.yaml]\nvars:\n  b: 2\n  c: 2\nresources:\n"
        "  - thing: a\n    value: '{{ a }}'\n"
        "  - thing: b\n    value: '{{ b }}'\n"
        "  - thing: c\n    value: '{{ c }}'\n"
    )
    found = make(text, {"c": 3}, low_yaml="vars:\n  a: 1\n  b: 1\n  c: 1\n")
    assert [one.spec["value"] for one in found.resources] == [1, 2, 3]


def test_names_may_be_templates_and_when_decides(make):
    found = make(
        "vars:\n  role: web\nresources:\n"
        "  - thing: '{{ role }}'\n    when: role == 'web'\n"
        "  - thing: gone\n    when: role == 'db'\n    value: '{{ undefined_here }}'\n"
    )
    assert [(one.id, one.selected) for one in found.resources] == [
        ("thing:web", True),
        ("thing:gone", False),
    ]


def test_notify_and_subscribe_are_one_edge(make):
    found = make(
        "resources:\n  - thing: a\n    notify: thing:c\n  - thing: b\n"
        "  - thing: c\n    subscribe: [thing:b]\n  - thing: d\n    before: [thing:a]\n"
    )
    by_id = {one.id: one for one in found.resources}
    assert by_id["thing:a"].notify == ("thing:c",)
    assert by_id["thing:b"].notify == ("thing:c",)
    assert by_id["thing:c"].after == ("thing:a", "thing:b")
    assert by_id["thing:a"].after == ("thing:d",)


def test_includes_go_first_and_each_once(make):
    found = make(
        "include: [sub/one.yaml, two.yaml]\nresources:\n  - thing: top\n",
        sub__one_yaml="include: [../two.yaml]\nresources:\n  - thing: one\n",
        two_yaml="resources:\n  - thing: two\n",
    )
    assert [one.id for one in found.resources] == ["thing:two", "thing:one", "thing:top"]
    assert len(found.inputs["files"]) == 3


@pytest.mark.parametrize(
    ("include", "message"),
    [
        ("../secret.yaml", "is not below"),
        ("/etc/passwd", "is not below"),
        ("p.yaml", "includes itself"),
        ("missing.yaml", "there is no"),
        ("'{{ x }}.yaml'", "without templates"),
        ("3", "without templates"),
    ],
)
def test_bad_includes(make, include, message):
    with pytest.raises(ProfileError) as caught:
        make(f"include:\n  - {include}\n")
    ((line, _, _, found, _),) = problems(caught)
    assert line == 2
    assert message in found


@pytest.mark.parametrize("include", ["profiles/base.yaml", "../profiles/base.yaml"])
def test_an_include_of_a_stock_profile_from_elsewhere(make, tmp_path, monkeypatch, include):
    (tmp_path / "stock").mkdir()
    (tmp_path / "stock/base.yaml").write_text("profile: base\n")
    monkeypatch.setattr(hints, "STOCK", str(tmp_path / "stock"))
    with pytest.raises(ProfileError) as caught:
        make(f"include: [{include}]\n")
    remedy = problems(caught)[0][-1]
    assert remedy.startswith(f"to include stock profiles, link {tmp_path}/stock to `profiles`")
    (tmp_path / "profiles").symlink_to("stock")
    assert make("include: [profiles/base.yaml]\n").resources == ()


def test_all_errors_at_once_each_with_place_resource_and_remedy(make):
    with pytest.raises(ProfileError) as caught:
        make(
            "profile: bad\n"
            "resources:\n"
            "  - thnig: a\n"
            "  - thing: b\n"
            "    valeu: 3\n"
            "  - thing: c\n"
            "    value: many\n"
            "  - thing: d\n"
            "    on_unmanageable: maybe\n"
            "  - thing: e\n"
            "    size: '{{ nothing }}'\n"
            "  - value: 3\n"
            "    thing: f\n"
        )
    found = problems(caught)
    assert [(line, resource) for line, _, resource, _, _ in found] == [
        (3, ""), (5, "thing:b"), (7, "thing:c"), (9, "thing:d"), (11, "thing:e"), (12, ""),
    ]  # fmt: skip
    assert found[0][3:] == ("unknown kind `thnig`", "did you mean `thing`?")
    assert found[1][3:] == ("unknown attribute `valeu`", "did you mean `value`?")
    assert "not 'many'" in found[2][3]
    assert "'fail', 'warn' or 'skip'" in found[3][3]
    assert "`nothing` is not defined" in found[4][3]
    assert found[5][4] == "the kind goes first: `- thing: …`"


def test_what_is_wrong_with_files_resources_and_links_is_told_together(make):
    with pytest.raises(ProfileError) as caught:
        make(
            "resorces: []\n"
            "resources:\n"
            "  - thing: a\n    require: thing:none\n"
            "  - thing: b\n    valeu: 1\n"
            "  - thing: c\n    require: [thing:b, thing:ab]\n"
        )
    assert [(line, found) for line, _, _, found, _ in problems(caught)] == [
        (1, "unknown key `resorces`"),
        (4, "`require`: there is no thing:none"),
        (6, "unknown attribute `valeu`"),
        (8, "`require`: there is no thing:ab"),
    ]


def test_a_resource_without_a_name_may_be_the_one_that_is_required(make):
    with pytest.raises(ProfileError) as caught:
        make("resources:\n  - thing: '{{ x }}'\n  - thing: b\n    require: thing:a\n")
    assert [found[3] for found in problems(caught)] == ["`x` is not defined"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("resources:\n  - thing: a\n  - thing: a\n", 3, "already declared at"),
        ("resources:\n  - thing: a\n    require: thing:x\n", 3, "there is no thing:x"),
        ("resources:\n  - thing: a\n    require: thing:a\n", 3, "names the resource itself"),
        (
            "resources:\n  - thing: a\n    require: thing:b\n  - thing: b\n    require: thing:a\n",
            2,
            ": thing:a → thing:b → thing:a",
        ),
        ("resources:\n  - thing: a\n    name: b\n", 3, "unknown attribute `name`"),
        ("resources:\n  - thing:\n", 2, "needs a name"),
        ("resources:\n  - thing: []\n", 2, "needs a name"),
        ("resources:\n  - a\n", 2, "a resource is a mapping"),
        ("resources: 3\n", 1, "`resources` must be a list"),
        ("vars: [a]\n", 1, "`vars` must be a mapping"),
        ("vars:\n  a-b: 3\n", 2, "cannot name a var"),
        ("vars:\n  facts: 3\n", 2, "cannot name a var"),
        ("resorces: []\n", 1, "unknown key `resorces`"),
        ("profile: [x]\n", 1, "`profile` is a name"),
        ("[1]\n", 1, "a profile is a mapping"),
        ("resources:\n  - thing: a\n    when: '{{ x }}'\n", 3, "braces"),
        ("a: [\n", 2, ""),
    ],
)
def test_what_is_wrong_is_said_with_its_line(make, text, line, message):
    with pytest.raises(ProfileError) as caught:
        make(text)
    found = problems(caught)[0]
    assert found[0] == line
    assert message in found[3]
    assert "p.yaml:" in str(caught.value)


def test_a_profile_without_resources_is_no_error(make):
    assert make("profile: nothing\n").resources == ()
    assert make("include: [a.yaml]\n", a_yaml="").resources == ()


@pytest.mark.parametrize("text", ["", "\n", "# all of it is a comment\n", "---\n"])
def test_an_empty_file_is_no_profile(make, text):
    """It is what a write that was cut off leaves: the last good profile stays in force."""
    with pytest.raises(ProfileError, match="the file is empty"):
        make(text)


def test_real_kinds_imply_their_order(make):
    found = make(
        "resources:\n"
        "  - symlink: /opt/app/current\n    target: v2\n    owner: deploy\n"
        "  - directory: /opt/app/v2\n"
        "  - directory: /opt/app\n    group: staff2\n"
        "  - user: deploy\n    groups: [staff2]\n"
        "  - group: staff2\n"
    )
    assert [one.id for one in found.resources] == [
        "group:staff2", "directory:/opt/app", "user:deploy", "directory:/opt/app/v2",
        "symlink:/opt/app/current",
    ]  # fmt: skip


def test_what_is_to_be_absent_goes_the_other_way_round(make):
    found = make(
        "resources:\n  - directory: /opt/app\n    state: absent\n"
        "  - file: /opt/app/x\n    state: absent\n"
    )
    assert [one.id for one in found.resources] == ["file:/opt/app/x", "directory:/opt/app"]


def test_present_below_absent_is_a_contradiction(make):
    with pytest.raises(ProfileError, match="which is declared absent"):
        make("resources:\n  - directory: /opt/app\n    state: absent\n  - file: /opt/app/x\n")


def test_one_path_has_one_owner(make):
    with pytest.raises(ProfileError, match="manages the same path"):
        make("resources:\n  - directory: /opt/app\n  - file: /opt//app/\n")


def test_suicide_is_refused(make):
    with pytest.raises(ProfileError, match="/etc"):
        make("resources:\n  - directory: /etc\n    state: absent\n    force: true\n")


def test_a_small_source_becomes_content_and_counts_as_an_input(make, tmp_path):
    found = make("resources:\n  - file: /etc/motd\n    source: motd\n", motd="hello\n")
    assert found.resources[0].spec["content"] == "hello\n"
    assert str(tmp_path / "motd") in found.inputs["files"]


@pytest.mark.parametrize("source", ["../x", "/etc/shadow", "missing"])
def test_a_source_stays_in_the_folder(make, source):
    with pytest.raises(ProfileError) as caught:
        make(f"resources:\n  - file: /etc/motd\n    source: {source}\n")
    assert problems(caught)[0][0] == 3


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHNpeHRlZW4gYnl0ZXMgYW5kIHNpeHRlZW4gbW9yZS4u"
PART = "  - line: x\n    path: /etc/a\n    content: x\n"


def test_a_part_and_the_whole_of_a_file_are_a_contradiction(make):
    with pytest.raises(ProfileError) as caught:
        make(f"resources:\n{PART}  - file: /etc/a\n    content: y\n")
    assert problems(caught) == [
        (
            2, 5, "line:x", "file:/etc/a (line 5) declares the whole content of /etc/a",
            "put it into that content, or set `replace: false` there",
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("/etc/hosts", "host: db\n    ip: 10.0.0.1"),
        ("/etc/fstab", "mount: /data\n    source: /dev/sdb\n    type: ext4\n    state: present"),
        (
            "/etc/keys",
            "authorized_key: k\n    user: root\n    path: /etc/keys\n    key: " + KEY,
        ),
    ],
)
def test_kinds_that_write_into_a_file_of_others_have_a_part_of_it(make, path, part):
    with pytest.raises(ProfileError, match=f"file:{path} .* declares the whole content"):
        make(f"resources:\n  - {part}\n  - file: {path}\n    content: x\n")


def test_a_part_and_what_is_fetched_whole_are_a_contradiction(make):
    download = "  - download: /etc/a\n    url: https://example.com/a\n"
    with pytest.raises(ProfileError, match=r"download:/etc/a .* declares the whole content"):
        make(f"resources:\n{PART}{download}")
    found = make(f"resources:\n{PART}{download}    replace: false\n")
    assert [one.id for one in found.resources] == ["download:/etc/a", "line:x"]
    with pytest.raises(ProfileError, match="needs download:/etc/a, which is declared absent"):
        make(f"resources:\n{PART}  - download: /etc/a\n    state: absent\n")


@pytest.mark.parametrize("more", ["", "    content: y\n    replace: false\n", "    mode: '0644'\n"])
def test_a_part_goes_after_its_file(make, more):
    found = make(f"resources:\n{PART}  - file: /etc/a\n{more}")
    assert [one.id for one in found.resources] == ["file:/etc/a", "line:x"]


ARCHIVE = "  - archive: /opt/app\n    source: /opt/app/dl/a.tgz\n"
BELOW = "  - file: /opt/app/conf\n    content: x\n"
MOUNT = "  - mount: /opt/app\n    type: tmpfs\n"


@pytest.mark.parametrize("other", [ARCHIVE, MOUNT])
@pytest.mark.parametrize("turned", [False, True])
def test_a_file_goes_after_what_is_above_it(make, other, turned):
    found = make("resources:\n" + "".join([other, BELOW] if turned else [BELOW, other]))
    assert found.resources[1].id == "file:/opt/app/conf"
    assert found.resources[1].after == (found.resources[0].id,)


def test_what_an_archive_is_made_of_may_lie_where_it_is_extracted(make):
    source = "  - directory: /opt/app/dl\n  - file: /opt/app/dl/a.tgz\n    content: x\n"
    found = make(f"resources:\n{BELOW}{ARCHIVE}{source}")
    assert [one.id for one in found.resources] == [
        "directory:/opt/app/dl", "file:/opt/app/dl/a.tgz", "archive:/opt/app", "file:/opt/app/conf",
    ]  # fmt: skip


@pytest.mark.parametrize("other", ["archive", "mount"])
def test_a_file_may_stay_where_what_is_above_it_goes(make, other):
    absent = f"  - {other}: /opt/app\n    state: absent\n"
    found = make(f"resources:\n{BELOW}{absent}")
    assert [one.id for one in found.resources] == [f"{other}:/opt/app", "file:/opt/app/conf"]
    found = make(f"resources:\n{absent}  - file: /opt/app/conf\n    state: absent\n")
    assert [one.id for one in found.resources] == ["file:/opt/app/conf", f"{other}:/opt/app"]


def test_a_part_has_one_owner(make):
    with pytest.raises(ProfileError, match=r"line:x \(line 2\) manages the same part"):
        make(f"resources:\n{PART}{PART.replace('line: x', 'line: y')}")
    make(f"resources:\n{PART}{PART.replace('x', 'y')}")


def test_a_part_of_a_file_that_is_to_be_absent(make):
    with pytest.raises(ProfileError, match="needs file:/etc/a, which is declared absent"):
        make(f"resources:\n{PART}  - file: /etc/a\n    state: absent\n")


@pytest.mark.parametrize(
    ("folder", "path", "other"),
    [
        ("/etc/sysctl.d", "60-converge.conf", "sysctl: vm.swappiness\n    value: 1"),
        ("/srv", "hosts", "host: db\n    ip: 10.0.0.1\n    path: /srv/hosts"),
        ("/srv", "keys", f"authorized_key: k\n    user: x\n    path: /srv/keys\n    key: {KEY}"),
        (
            "/usr/local/share/ca-certificates", "own.crt",
            "ca_certificate: own\n    state: absent",
        ),
        ("/srv", "ann/", "user: ann\n    manage_home: true\n    home: /srv/ann"),
    ],
)  # fmt: skip
def test_a_purged_directory_keeps_what_is_written_for_others(make, folder, path, other):
    found = make(f"resources:\n  - {other}\n  - directory: {folder}\n    purge: true\n")
    (directory,) = [one for one in found.resources if one.kind == "directory"]
    assert directory.spec["managed"] == (f"{folder}/{path}",)


def test_a_home_may_be_a_resource_too_and_be_purged(make):
    user = "  - user: ann\n    manage_home: true\n"
    made = make(f"resources:\n{user}  - directory: /home/ann\n    mode: '0700'\n    purge: true\n")
    (directory,) = [one for one in made.resources if one.kind == "directory"]
    assert directory.spec["managed"] == ()


def test_a_purged_directory_keeps_a_file_of_which_a_part_is_managed(make):
    found = make(f"resources:\n{PART}  - directory: /etc/\n    mode: '0755'\n    purge: true\n".replace(
        "/etc", "/srv/x"))  # fmt: skip
    (directory,) = [one for one in found.resources if one.kind == "directory"]
    assert "/srv/x/a" in json.dumps(directory.spec)
