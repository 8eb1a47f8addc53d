"""Custom facts: which file is a fact, what it gives, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from converge import commands
from converge.config import Settings
from converge.errors import ConvergeError, ProfileError
from converge.facts import Facts
from converge.facts import custom as custom_facts
from converge.facts.custom import CustomFacts
from converge.language import profile
from converge.language.compile import compile_profile
from converge.loading import trusted_read
from converge.read_only import ReadOnlySystem


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "facts.d").mkdir(mode=0o755)
    return tmp_path / "facts.d"


@pytest.fixture
def write(folder):
    """Return a function that writes a file there; of a program also that it can be run."""

    def write(name, text, mode=0o644):
        path = folder / name
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") and mode == 0o644 else mode)
        return path

    return write


def value(folder, name="x"):
    return CustomFacts(str(folder))[name]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("x.json", '{"a": [1, true, null, "ü"]}', {"a": [1, True, None, "ü"]}),
        ("x.json", '"\\u00fc\\/"', "ü/"),
        ("x.yaml", "a: no\nb: [1]\n", {"a": "no", "b": [1]}),
        ("x.yml", "", None),
        ("x", "#!/bin/sh\necho '{\"a\": 1}'\n", {"a": 1}),
        ("x.sh", "#!/bin/sh\necho 12; echo words >&2\n", 12),
        ("x.fact", '#!/bin/sh\nprintf \'"%s %s"\' "$PWD" "$HOME"\n', "/ "),
        ("x.sh", '#!/bin/sh\necho "\\"$(cat)\\""\n', ""),
    ],
)
def test_what_a_file_gives(write, folder, name, text, expected):
    write(name, text)
    assert value(folder) == expected


def test_names(write, folder):
    for name in ("b.json", "a.sh", ".hidden.json", "old.json~", "disk-size.yaml"):
        write(name, "")
    assert list(CustomFacts(str(folder))) == ["a", "b", "disk-size"]


def test_without_a_folder_there_are_none(tmp_path):
    for folder in ("", str(tmp_path / "none")):
        custom = CustomFacts(folder)
        assert list(custom) == []
        with pytest.raises(KeyError):
            custom["x"]


def test_a_program_runs_once_and_only_when_its_value_is_asked_for(write, folder):
    log = folder.parent / "log"
    write("x.sh", f"#!/bin/sh\necho run >> {log}\necho 1\n")
    custom = CustomFacts(str(folder))
    assert "x" in custom
    assert list(custom) == ["x"]
    assert not log.exists()
    assert [custom["x"], custom["x"]] == [1, 1]
    assert log.read_text() == "run\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.json", "[1,\n2", "not JSON: Expecting ',' delimiter (line 2, column 2) (print one JSON"),
        ("x.json", '{"a": 1, "a": 2}', "not JSON: a key is there twice"),
        ("x.json", "NaN", "not JSON: NaN is a word, not a number"),
        ("x.json", "1e999", "the result is inf, which is not a number to use"),
        ("x.json", "[" * 100_000, "not JSON: maximum recursion depth exceeded"),
        ("x.json", "[" * 70 + "]" * 70, "more than 64 deep"),
        ("x.json", "", "not JSON: Expecting value (line 1, column 1)"),
        ("x.yaml", "a: 1\na: 2\n", "x.yaml:2:1: the key `a` is there twice"),
        ("x", "echo 1\n", "it cannot be run (chmod +x "),
        ("x", "#!/bin/sh\necho words\n", "not JSON: Expecting value (line 1, column 1)"),
        ("x", "#!/bin/sh\necho sorry >&2\nexit 3\n", "x: exit 3: sorry"),
        ("x", "#!/nowhere\n", "x cannot be started: No such file or directory"),
        ("x", "#!/bin/sh\nkill -9 $$\n", "x: was ended by signal 9"),
        ("x", "#!/bin/sh\nexec yes\n", "x printed more than 1048576 bytes"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_the_fact_and_its_file(write, folder, name, text, message):
    path = write(name, text)
    with pytest.raises(ConvergeError) as caught:
        value(folder)
    assert str(caught.value).startswith(f"the fact `custom.x` of {path}: ")
    assert message in str(caught.value)


def test_a_deadline(write, folder, monkeypatch):
    monkeypatch.setattr(custom_facts, "DEADLINE", 0.2)
    write("x", "#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(ConvergeError, match=r"took longer than 0\.2 seconds"):
        value(folder)


def test_two_files_of_one_fact(write, folder):
    write("x.json", "1")
    write("x.yaml", "1")
    with pytest.raises(ConvergeError, match=r"there is .*/x\.yaml, too \(keep one of them\)"):
        value(folder)


@pytest.mark.parametrize("name", ["x.json", "x"])
def test_what_others_can_change_is_refused(write, folder, name):
    write(name, "#!/bin/sh\necho 1\n", 0o777)
    with pytest.raises(ConvergeError, match="can be changed by group and others"):
        value(folder)
    (folder / name).chmod(0o755)
    folder.chmod(0o777)
    with pytest.raises(ConvergeError, match="can be changed by group and others"):
        value(folder)


def test_a_directory_is_no_fact(folder):
    (folder / "x").mkdir()
    with pytest.raises(ConvergeError, match="is not a regular file"):
        value(folder)


@pytest.fixture
def compiled(tmp_path, folder):
    """Return a function: the text of a profile → its catalog."""

    def build(text):
        (tmp_path / "p.yaml").write_text(text)
        facts = Facts(ReadOnlySystem(str(tmp_path)), {}, str(folder))
        loaded = profile.load(str(tmp_path / "p.yaml"), trusted_read)
        return compile_profile(loaded, facts, {}, trusted_read, [])

    return build


def test_in_a_profile_and_what_the_catalog_remembers(write, folder, compiled, tmp_path):
    write("site.json", '{"name": "secret"}')
    write("disk.sh", "#!/bin/sh\necho 5\n")
    write("other.sh", "#!/bin/sh\nexit 1\n")
    found = compiled(
        "resources:\n  - file: /motd\n    content: '{{ facts.custom.site.name }} "
        "{{ facts.custom.disk }} {{ facts.custom.none | default(7) }}'\n"
    )
    assert found.resources[0].spec["content"] == "secret 5 7"
    used = json.loads(json.dumps(found.inputs["facts"]))
    assert list(used["custom"]) == ["site", "disk", "none"]
    assert "secret" not in json.dumps(used)
    assert found.inputs["facts_files"] == [f"{folder}/site.json", f"{folder}/disk.sh"]

    def same():
        return Facts(ReadOnlySystem(str(tmp_path)), {}, str(folder)).same(used)

    assert same()
    write("other.sh", "#!/bin/sh\nexit 2\n")
    assert same()
    write("disk.sh", "#!/bin/sh\nexpr 2 + 3\n")
    assert same()
    write("disk.sh", "#!/bin/sh\necho 6\n")
    assert not same()
    write("disk.sh", "#!/bin/sh\necho 5\n")
    write("none.json", "8")
    assert not same()


def test_a_fact_that_cannot_be_had_is_an_error_with_its_place(write, compiled):
    write("x.sh", "#!/bin/sh\necho no disk >&2; exit 1\n")
    with pytest.raises(ProfileError) as caught:
        compiled("resources:\n  - file: /a\n    content: '{{ facts.custom.x }}'\n"
                 "  - file: /b\n    content: '{{ facts.custom.y }}'\n"
                 "  - file: /c\n    content: '{{ facts.environment.Z }}'\n")  # fmt: skip
    first, second, third = caught.value.problems
    assert (first.line, second.line, third.line) == (3, 5, 7)
    assert "the fact `custom.x` of " in first.message
    assert "no disk" in first.message
    assert second.message.startswith("there is no custom fact `y`: no file ")
    assert third.message == (
        "the environment has no `Z`; where it may be missing, write "
        "`facts.environment.Z | default('…')`"
    )


def test_checking_a_fact_of_yaml_again_parses_nothing(write, folder, tmp_path):
    write("x.yaml", "a: 1\n")
    facts = Facts(ReadOnlySystem("/"), {}, str(folder))
    assert facts["custom"]["x"] == {"a": 1}
    script = (
        "import json, sys; from converge.facts import Facts; "
        "from converge.read_only import ReadOnlySystem\n"
        "facts = Facts(ReadOnlySystem('/'), {}, sys.argv[1])\n"
        "print(facts.same(json.loads(sys.argv[2])), 'yaml' in sys.modules)\n"
    )
    argv = [sys.executable, "-Ic", script, str(folder), json.dumps(facts.used())]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"


def test_the_command_shows_those_that_can_be_had_and_tells_of_the_others(write, folder, capsys):
    write("good.json", '{"a": 1}')
    write("bad.json", "{")
    settings = Settings(facts_dir=str(folder), json=True)
    assert commands.facts(settings) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["custom"] == {"good": {"a": 1}}
    assert set(json.loads(out)["environment"].values()) <= {"[hidden]"}
    assert err.startswith(f"converge: the fact `custom.bad` of {folder}/bad.json: not JSON")
    os.unlink(folder / "bad.json")
    assert commands.facts(settings) == 0
