"""Templates that are files below the profile's folder: the `template` of a file."""

from __future__ import annotations

import pytest

from converge.errors import ProfileError

PROFILE = """
vars: {port: 80}
resources:
  - file: /etc/{{ item }}.conf
    for_each: [a, b]
    template: site.j2
"""
PROFILE = PROFILE.replace("/etc/{{ item }}.conf", '"/etc/{{ item }}.conf"')


def said(make, text, **files):
    """Return what is told of the first problem of a profile."""
    with pytest.raises(ProfileError) as caught:
        make(text, **files)
    first = caught.value.problems[0]
    return first.line, first.resource, first.message, first.remedy


def one(rest):
    return f"resources:\n  - file: /etc/a\n    template: {rest}\n"


def test_a_template_sees_what_a_content_sees(make, tmp_path):
    found = make(PROFILE, **{"site.j2": "{% if port %}\n{{ item }} {{ port }}\n{% endif %}\n"})
    assert [resource.spec["content"] for resource in found.resources] == ["a 80\n", "b 80\n"]
    assert str(tmp_path / "site.j2") in found.inputs["files"], "a change of it is noticed"


def test_it_is_a_text_whatever_it_gives(make):
    found = make(one("t"), t="{{ 5 }}")
    assert found.resources[0].spec["content"] == "5"
    assert make(one("t"), t="\ufeffplain\n").resources[0].spec["content"] == "plain\n"


def test_its_name_may_be_a_template(make):
    found = make(
        "vars: {role: web}\nresources:\n  - file: /etc/a\n    template: '{{ role }}.j2'\n",
        **{"web.j2": "of web\n"},
    )
    assert found.resources[0].spec["content"] == "of web\n"


def test_secrets_stay_references(make):
    text = one("t\n    secrets: { password: { env: PASSWORD } }")
    found = make(text, t="password = {{ secrets.password }}\n").resources[0].spec
    assert found["content"].startswith("password = ")
    assert found["secrets"] == {"password": {"!secret": {"env": "PASSWORD"}}}


@pytest.mark.parametrize(
    ("rest", "file", "message"),
    [
        ("t", "a\n{{ prot }}\n", "t: `prot` is not defined, in line 2 of the template"),
        ("t", "{% if x %}", "t: the template cannot be read: "),
        ("gone", "", "there is no "),
        ("../t", "", "`../t` is not below "),
        ("https://example.org/t", "", "`https://example.org/t` is no path"),
        ("t\n    content: x", "", "`template` and `content` exclude each other"),
        ("5", "", "`template` must be a text, not 5"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(make, rest, file, message):
    line, resource, text, _ = said(make, one(rest), t=file)
    assert (line, resource) == (3, "file:/etc/a")
    assert text.startswith(message)


def test_it_must_be_utf_8(make, tmp_path):
    (tmp_path / "t").write_bytes(b"gr\xfc\n")
    assert said(make, one("t"))[2].startswith("t: not UTF-8")


def test_a_kind_without_templates_does_not_know_the_word(make):
    text = "resources:\n  - directory: /etc/a\n    template: t\n"
    assert said(make, text, t="x")[2] == "unknown attribute `template`"
