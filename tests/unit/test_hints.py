"""What is said about words that converge does not know."""

from __future__ import annotations

import pytest

from converge.language import hints

KINDS = ["command", "file", "line", "package", "symlink"]


@pytest.mark.parametrize(
    ("word", "attributes", "remedy"),
    [
        ("apt", [], "in converge that is `package`"),
        ("ansible.builtin.copy", [], "in converge that is `file`"),
        ("link", [], "in converge that is `symlink`"),
        ("flie", [], "did you mean `line` or `file`?"),
        ("pakage", [], "did you mean `package`?"),
        ("state", ["owner", "file"], "the kind goes first: `- file: …`"),
        ("name", ["ansible.builtin.copy", "when"], "the kind goes first: `- file: …`"),
        ("docker", [], "see `converge kinds`"),
        ("systemd", [], "see `converge kinds`"),  # which would be `service`, if there were that
    ],
)
def test_kinds(word, attributes, remedy):
    assert hints.kind(word, attributes, KINDS) == remedy


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        ("ensure", "in converge that is `state`"),
        ("with_items", "see `converge kinds file`"),  # no `for_each` among what is known here
        ("ignore_errors", "see `on_unmanageable`, and `noop`"),
        ("moed", "did you mean `mode`?"),
        ("colour", "see `converge kinds file`"),
    ],
)
def test_attributes(word, remedy):
    assert hints.attribute(word, "file", ["state", "mode"]) == remedy


@pytest.mark.parametrize(
    ("word", "known", "remedy"),
    [
        ("option", ["section", "key"], "in converge that is `key`"),  # and not `section`
        ("source", ["target", "force"], "in converge that is `target`"),
        ("source", ["url", "force"], "in converge that is `url`"),
        ("onlyif", ["only_if", "when"], "in converge that is `only_if`"),
        ("onlyif", ["when"], "in converge that is `when`"),
        ("group", ["gid", "groups"], "in converge that is `gid`"),
    ],
)
def test_what_a_word_means_depends_on_the_kind(word, known, remedy):
    assert hints.attribute(word, "thing", known) == remedy


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        ("tasks", "in converge that is `resources`"),
        ("var", "did you mean `vars`?"),
        ("hosts", "a profile has vars, resources"),
    ],
)
def test_keys(word, remedy):
    assert hints.key(word, ["vars", "resources"]) == remedy
