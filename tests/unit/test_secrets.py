"""Secrets by reference: declared, kept out of the catalog, had at a run, and never shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from converge import kinds, outcome, secrets, textdiff
from converge.engine import Run
from converge.errors import ProfileError
from converge.inspection import Inspection
from converge.language import secret_references
from converge.language.models import validate
from converge.language.secret_references import MARK, Concealed
from converge.notifications import Notifications
from converge.programs.process import Completed
from converge.provider import Spec
from converge.reports import report
from converge.secrets import SecretError, Secrets
from converge.testing import FakeSystem, make_spec
from converge.watching import Watching, steps
from converge_resources.file import FileSpec

CANARY = "c4n4ry-Ω-value"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    """Forget the secrets of other tests; leave this process as it is."""
    monkeypatch.setattr(textdiff, "_secrets", [])
    monkeypatch.setattr(secrets, "_guarded", True)


@pytest.fixture
def system(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    said = {
        "vault": lambda argv, _: f"{argv[-1]}-{CANARY}\n",
        "broken": lambda argv, _: Completed(argv=tuple(argv), code=3, out=CANARY, err=CANARY),
    }
    return FakeSystem(root, said)


def file_spec(content, **more) -> FileSpec:
    return make_spec("file", name="/x", content=content, **more)


def filled(declared, system):
    return Secrets().fill(file_spec(declared), system.read_only()).content


class TestDeclared:
    @pytest.mark.parametrize(
        ("written", "kept"),
        [
            ("plain", "plain"),
            ({"env": "NAME"}, {MARK: {"env": "NAME"}}),
            ({"file": "/run//secrets/x"}, {MARK: {"file": "/run/secrets/x"}}),
            ({"command": ["/bin/a", 1]}, {MARK: {"command": ["/bin/a", "1"]}}),
            ({"command": "vault read 'a b'"}, {MARK: {"command": ["vault", "read", "a b"]}}),
        ],
    )
    def test_what_a_secret_may_be(self, written, kept):
        assert file_spec(written).content == kept
        assert file_spec(kept).content == kept
        assert secret_references.written(kept) == (kept if kept == written else kept[MARK])

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ({"env": "A B"}, "the name of a variable"),
            ({"file": "secrets/x"}, "not an absolute path"),
            ({"file": "/a/../b"}, "not allowed"),
            ({"command": []}, "a list of words"),
            ({"command": "./x"}, "an absolute path, or a name alone"),
            ({"env": "A", "file": "/b"}, "a secret is a text, or one of { env: NAME }"),
            ({"vault": CANARY}, "a secret is a text, or one of { env: NAME }"),
            ({"env": {"x": CANARY}}, "a secret is a text, or one of { env: NAME }"),
            ([CANARY], "a secret is a text, or one of { env: NAME }"),
        ],
    )
    def test_what_it_may_not_be_and_that_this_is_not_repeated(self, wrong, words):
        _, problems = validate(FileSpec, {"name": "/x", "content": wrong})
        assert words in problems[0][1]
        assert CANARY not in problems[0][1]
        assert len(problems) == 1

    def test_references_in_plain_data(self):
        seen = secret_references.names(["secrets"], {"secrets": dict.fromkeys("abc")}, {})
        marks = "".join(seen["secrets"].values())
        spec = file_spec(marks, secrets={"a": {"env": "A"}, "b": "text", "c": {"file": "/c"}})
        found = secret_references.references(spec.as_dict())
        assert found == [{"env": "A"}, {"file": "/c"}]
        assert secret_references.files(found) == ["/c"]
        assert secret_references.references({"env": "A", "deep": [{"file": "/x"}]}) == []
        assert secret_references.blank(spec).secrets == {"a": "", "b": "text", "c": ""}


PROFILE = """
vars: {where: /run/secrets}
resources:
  - file: /etc/app.conf
    content: |
      user = {{ 'app' | upper }}
      password = {{ secrets.db }}
    secrets:
      db: { file: "{{ where }}/db" }
  - file: /run/secrets/db
    mode: "0600"
  - file: /etc/key
    content: { env: KEY }
  - user: deploy
    password: { command: [vault, read] }
  - command: echo
    always: true
    env: { TOKEN: { env: TOKEN }, PORT: 80 }
    stdin: { file: /run/secrets/in }
"""


class TestCatalog:
    def test_it_holds_references(self, make):
        catalog = make(PROFILE)
        assert catalog.secrets == {
            "file:/etc/app.conf": [{"file": "/run/secrets/db"}],
            "file:/etc/key": [{"env": "KEY"}],
            "user:deploy": [{"command": ["vault", "read"]}],
            "command:echo": [{"env": "TOKEN"}, {"file": "/run/secrets/in"}],
        }
        assert type(catalog).__name__ == "Catalog"
        assert json.loads(json.dumps(catalog.dump()))["secrets"] == catalog.secrets

    def test_a_managed_file_goes_before_what_takes_a_secret_from_it(self, make):
        after = {one.id: one.after for one in make(PROFILE).resources}
        assert "file:/run/secrets/db" in after["file:/etc/app.conf"]

    @pytest.mark.parametrize(
        ("resource", "words"),
        [
            ("content: '{{ secrets.b }}'\n    secrets: {a: x}", "there is no `b` in it; it has a"),
            (
                "content: '{{ secrets.a | upper }}'\n    secrets: {a: x}",
                "a filter cannot be applied",
            ),
            ("content: x\n    secrets: {a: {env: A}}", "`{{ secrets.a }}` is not in the content"),
            ("content: {env: B}\n    secrets: {a: {env: A}}", "for a `content` that is a text"),
            ("secrets: {a: {env: A}}", "for a `content` that is a text"),
            ("content: '{{ secrets.a }}'", "`secrets` is not defined"),
            ("content: x\n    secrets: {a b: {env: A}}", "the name of a secret"),
            ("content: x\n    secrets: [a]", "must be a mapping"),
        ],
    )
    def test_templates_that_are_wrong(self, make, resource, words):
        with pytest.raises(ProfileError) as caught:
            make(f"resources:\n  - file: /x\n    {resource}\n")
        assert words in str(caught.value)


class TestValues:
    def test_from_the_environment(self, system, monkeypatch):
        monkeypatch.setenv("KEY", CANARY)
        value = filled({"env": "KEY"}, system)
        assert value == CANARY
        assert repr(value) == "[secret]"
        monkeypatch.delenv("KEY")
        with pytest.raises(SecretError, match="env: KEY is not in the agent's environment"):
            filled({"env": "KEY"}, system)

    def test_from_a_file_exactly(self, system, tmp_path):
        (tmp_path / "s").write_bytes(b"line\nend\n")
        assert filled({"file": f"{tmp_path}/s"}, system) == "line\nend\n"
        (tmp_path / "s").write_bytes(b"\xff\x00\n")
        assert filled({"file": f"{tmp_path}/s"}, system).encode(errors="surrogateescape") == (
            b"\xff\x00\n"
        )

    def test_a_line_break_at_the_end_does_not_count_in_a_line(self, system, tmp_path):
        (tmp_path / "s").write_bytes(b" two words \r\n")
        spec = file_spec("\ufdd0a\ufdd1!", secrets={"a": {"file": f"{tmp_path}/s"}})
        found = Secrets().fill(spec, system.read_only())
        assert kinds.load("file").desired(found).content == b" two words !"

    def test_a_file_that_somebody_else_may_write(self, system, tmp_path):
        (tmp_path / "s").write_text(CANARY)
        (tmp_path / "s").chmod(0o666)
        with pytest.raises(SecretError, match=r"the secret file: .* can be changed by"):
            filled({"file": f"{tmp_path}/s"}, system)
        with pytest.raises(SecretError, match="the secret file: there is no"):
            filled({"file": f"{tmp_path}/gone"}, system)

    def test_from_a_program_asked_once(self, system):
        run = Secrets()
        spec = file_spec({"command": ["vault", "key"]})
        assert run.fill(spec, system.read_only()).content == f"key-{CANARY}\n"
        run.fill(spec, system.read_only())
        assert system.ran == [("/usr/bin/vault", "key")]

    def test_a_program_that_fails_is_not_quoted(self, system):
        with pytest.raises(SecretError) as caught:
            filled({"command": ["broken", CANARY]}, system)
        assert str(caught.value) == (
            "the secret command: broken: exit 3 (run it by hand to see why)"
        )
        with pytest.raises(SecretError, match="no such program"):
            filled({"command": ["gone"]}, system)

    def test_an_empty_secret_is_none(self, system, tmp_path):
        (tmp_path / "s").write_text("\n")
        spec = make_spec("user", name="deploy", password={"file": f"{tmp_path}/s"})
        with pytest.raises(SecretError, match="is empty"):
            Secrets().fill(spec, system.read_only())

    def test_what_comes_out_obeys_the_rules_of_the_kind(self, system, monkeypatch):
        monkeypatch.setenv("HASH", CANARY)
        spec = make_spec("user", name="deploy", password={"env": "HASH"})
        with pytest.raises(SecretError, match="the secret in `password`: this is no crypt"):
            Secrets().fill(spec, system.read_only())


class TestMasks:
    @pytest.mark.parametrize(
        "value",
        [
            CANARY,
            "with\ttab",
            'a "quoted" one',
            "back\\slash",
            "ends in\nsecond line here",
            "$6$ab/cd.",
        ],
    )
    def test_every_spelling_is_masked(self, value):
        secrets.conceal(value)
        spelled = (value, repr(value), json.dumps(value), repr(value.encode()))
        for text in (*spelled, textdiff.escaped(value)):
            assert not any(line in textdiff.masked(text) for line in value.split("\n"))

    def test_lines_of_several(self):
        secrets.conceal("-----BEGIN-----\nMIIEvQIBADANBg\nab\n-----END-----\n")
        assert textdiff.masked("got MIIEvQIBADANBg, ab") == "got [secret], ab"

    def test_a_short_one_is_not(self):
        secrets.conceal("abc")
        assert textdiff.masked("abcdef") == "abcdef"

    def test_longest_first(self):
        secrets.conceal("secret")
        secrets.conceal("secret-and-more")
        assert textdiff.masked("secret-and-more") == "[secret]"

    def test_before_anything_is_cut(self):
        secrets.conceal("x" * 3000)
        failed = Completed(argv=("/bin/a",), code=1, out="", err="y" + "x" * 3000)
        with pytest.raises(Exception, match=r"^a: exit 1: y\[secret\]$"):
            failed.check()


GUARD = """
import os, resource, sys
from converge import secrets
secrets.conceal("c4n4ry-value")
print(resource.getrlimit(resource.RLIMIT_CORE)[0])
print(os.stat("/proc/self/environ").st_uid, os.getuid())
raise ValueError("it is c4n4ry-value")
"""


def test_a_process_that_has_met_a_secret_is_on_its_guard():
    done = subprocess.run([sys.executable, "-I", "-c", GUARD], capture_output=True, text=True)
    assert done.stdout.splitlines()[0] == "0"
    assert done.stdout.splitlines()[1].startswith("0 ")  # not dumpable: root's, whoever we are
    assert done.returncode == 1
    assert "ValueError: it is [secret]" in done.stderr
    assert "c4n4ry" not in done.stderr.replace('secrets.conceal("c4n4ry-value")', "")


class TestRuns:
    @pytest.fixture
    def catalog(self, make, tmp_path):
        return make(
            "resources:\n"
            f"  - file: /made\n    content: {{file: {tmp_path}/secret}}\n    backup: false\n"
            "  - file: /fine\n    content: fine\n"
            "  - file: /after\n    content: x\n    require: file:/made\n"
        )

    def run(self, catalog, system):
        made = Run(catalog, system, Notifications(None))
        made.converge()
        return made, {name: found.result for name, found in made.outcomes.items()}

    def test_a_missing_secret_fails_its_resource_alone(self, catalog, system, tmp_path):
        made, results = self.run(catalog, system)
        assert results == {
            "file:/made": "failed", "file:/fine": "changed", "file:/after": "skipped",
        }  # fmt: skip
        assert made.outcomes["file:/made"].reason == (
            f"the secret file: there is no {tmp_path}/secret"
        )

    def test_what_is_written_and_what_is_told(self, catalog, system, tmp_path):
        (tmp_path / "secret").write_text(CANARY)
        made, results = self.run(catalog, system)
        assert set(results.values()) == {"changed"}
        path = tmp_path / "root/made"
        assert path.read_text() == CANARY
        assert path.stat().st_mode & 0o777 == 0o600
        told = report.make(catalog, made, report.Stopwatch(), dry=False, detailed=False)
        assert told["resources"][0]["fields"][-1] == {
            "field": "content", "before": "[hidden]", "after": "[hidden]",
        }  # fmt: skip
        assert CANARY not in json.dumps(told, ensure_ascii=False)
        assert self.run(catalog, system)[1] == dict.fromkeys(results, "in_sync")
        (tmp_path / "secret").write_text("another one")
        made, results = self.run(catalog, system)
        assert results["file:/made"] == "changed", made.outcomes["file:/made"]

    def test_a_secret_that_an_earlier_wave_makes(self, make, system, tmp_path):
        key = tmp_path / "key"

        def makes(_argv, _):
            key.write_text(CANARY)
            (tmp_path / "root/key").write_text("there")
            return ""

        system.programs["makes"] = makes
        catalog = make(
            "resources:\n  - command: makes\n    creates: /key\n"
            f"  - file: /made\n    content: {{file: {key}}}\n    require: command:makes\n"
            "  - command: told\n    argv: [told]\n    refresh_only: true\n    subscribe: file:/made\n"
            f"    stdin: {{file: {key}}}\n"
        )
        heard = []
        system.programs["told"] = lambda _argv, stdin: heard.append(stdin) or ""
        assert self.run(catalog, system)[1] == {
            "command:makes": "changed", "file:/made": "changed", "command:told": "in_sync",
        }  # fmt: skip
        assert heard == [CANARY.encode()]

    def test_a_catalog_without_secrets_does_not_import_this(self):
        code = (
            "import sys\nimport converge.runner, converge.watching, converge_resources.file,"
            " converge_resources.user, converge_resources.command\n"
            "print({'converge.secrets', 'converge.language.secret_references'} & sys.modules.keys())"
        )
        done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
        assert done.stdout == "set()\n", done.stderr


def test_the_files_of_secrets_are_watched_with_the_links_to_them(make, tmp_path):
    (tmp_path / "..2024").mkdir()
    (tmp_path / "..2024/db").write_text(CANARY)
    (tmp_path / "..data").symlink_to("..2024")
    (tmp_path / "db").symlink_to("..data/db")
    catalog = make(
        f"resources:\n  - file: /a\n    content: {{file: {tmp_path}/db}}\n"
        "  - file: /b\n    content: x\n"
    )
    seen = steps(f"{tmp_path}/db")
    assert seen == [f"{tmp_path}/db", f"{tmp_path}/..data", f"{tmp_path}/..2024/db"]
    watching = Watching("/", [])
    assert watching.choose(catalog) is None
    watching.before_reading(Inspection(catalog).items.values())
    paths = {record.split(" ", 2)[2] for record in watching.records([])}
    assert paths == {"/a", "/b", *seen}
    assert Watching("/", [f"{tmp_path}/..data"]).choose(catalog) == {"file:/a"}


def test_a_spec_of_another_kind_may_take_secrets():
    class Plain(Spec):
        token: str

    spec = Plain(name="x", token={MARK: {"env": "PATH"}})  # type: ignore[arg-type]
    found = Secrets().fill(spec, FakeSystem("/").read_only())
    assert found.token == os.environ["PATH"]
    assert isinstance(found.token, Concealed)
    assert outcome.in_sync().result == "in_sync"
