"""Rules of this code base that no linter knows: who may change files, and how long things are."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path for folder in ("agent", "resources") for path in (REPOSITORY / folder).rglob("*.py")
)

# Changing something by its path follows whatever the path has become since it was looked at. In
# these modules the path is a name below a directory descriptor (`dir_fd`), below /proc/self/fd, or
# in a 0700 directory of the agent's own.
DOOR = {
    *("files.atomic", "files.attributes", "files.backup", "files.journal", "files.regular"),
    *("files.removal", "files.staging", "files.writer"),
    *("state.lock", "state.private", "state.store"),
    "programs.keeper",  # how readily a program that is started is killed when memory is short
    "programs.launch",  # the log of a program that is started
    "worker",  # its result's descriptor, and how readily it is killed when memory is short
    "daemon.control",  # what pauses the agent
    "daemon.place",  # its own directory, and the lock in that
    "daemon.server",  # the control socket
    "accounts.lock",  # takes the lock of lckpwdf(3), and writes nothing into it
    "accounts.homes",  # renames a whole home, on the door's directory descriptors
    "accounts.tree",  # gives a home to another owner, on O_PATH descriptors
}
BY_PATH = {
    *("chmod", "chown", "lchown", "link", "makedirs", "mkdir", "mkfifo", "mknod", "remove"),
    *("removedirs", "removexattr", "rename", "renames", "replace", "rmdir", "setxattr"),
    *("symlink", "truncate", "unlink", "utime"),
}
WRITING = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"}


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts[2:])


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return (node for node in ast.walk(tree) if isinstance(node, kinds))


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or 0) - function.lineno + 1


def changes_by_path(code: str) -> list[str]:
    """Return `line: what` for all that changes something that it finds by a path."""
    tree = ast.parse(code)
    nowhere = {
        part
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.args[0]) == "os.devnull"
        for part in ast.walk(node)
    }
    found = [(node, trouble(node)) for node in ast.walk(tree) if node not in nowhere]
    return [f"{getattr(node, 'lineno', 0)}: {what}" for node, what in found if what]


def trouble(node: ast.AST) -> str:
    """Return what one node does by path, empty if nothing."""
    if isinstance(node, ast.Attribute) and node.attr in WRITING:
        return ast.unparse(node)
    if not isinstance(node, ast.Call):
        return ""
    name = ast.unparse(node.func)
    module, _, function = name.rpartition(".")
    if name == "open" and any(letter in opening_mode(node) for letter in "wax+"):
        return name
    changes = (module == "os" and function in BY_PATH) or module in ("shutil", "pathlib")
    return name if changes or function in ("write_text", "write_bytes", "touch") else ""


def opening_mode(node: ast.Call) -> str:
    """Return the mode that open() is given, in source form."""
    named = [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
    return "".join(ast.unparse(mode) for mode in [*node.args[1:2], *named])


def test_files_are_changed_through_the_door_alone():
    found = [
        f"{name_of(path)}:{what}"
        for path in SOURCES
        if module_of(path) not in DOOR
        for what in changes_by_path(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_every_module_of_the_door_needs_to_be_there():
    users = {
        module_of(path) for path in SOURCES if changes_by_path(path.read_text(encoding="utf-8"))
    }
    assert DOOR - users == set()


@pytest.mark.parametrize(
    "code",
    [
        "os.chown(path, 0, 0)",
        "os.rename(old, new)",
        "open(path, 'w')",
        "open(path, mode='r+b')",
        "os.open(path, os.O_WRONLY | os.O_CREAT)",
        "FLAGS = os.O_RDWR | os.O_CLOEXEC",
        "shutil.rmtree(path)",
        "Path(path).write_text('x')",
    ],
)
def test_the_rule_catches(code):
    assert changes_by_path(code)


@pytest.mark.parametrize(
    "code",
    [
        "open(path)",
        "open(path, 'rb')",
        "open(path, encoding='ascii')",
        "os.open(path, os.O_RDONLY | os.O_CLOEXEC)",
        "open(os.devnull, 'w')",
        "os.open(os.devnull, os.O_WRONLY)",
        "os.fchmod(fd, 0o600)",
        "text.replace('a', 'b')",
    ],
)
def test_the_rule_lets_pass(code):
    assert changes_by_path(code) == []


def test_a_package_that_tells_of_its_modules_tells_of_all():
    for path in (path for path in SOURCES if path.name == "__init__.py"):
        text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        there = {file.name for file in path.parent.glob("*.py")} - {"__init__.py", "__main__.py"}
        assert set(re.findall(r"\b\w+\.py\b", text)) in (set(), there), name_of(path)


def test_no_file_is_longer_than_250_lines():
    sizes = {name_of(path): len(path.read_bytes().splitlines()) for path in SOURCES}
    assert {name: size for name, size in sizes.items() if size > 250} == {}


def test_no_function_is_longer_than_40_lines():
    found = [
        f"{name_of(path)}:{function.lineno}: {function.name}: {length(function)}"
        for path in SOURCES
        for function in functions(path)
        if length(function) > 40
    ]
    assert found == []


def test_the_median_function_has_at_most_10_lines():
    assert statistics.median(length(f) for path in SOURCES for f in functions(path)) <= 10


def test_no_shell():
    """A program gets a list of arguments: no `shell=`, no os.system, no os.popen."""
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and (
            ast.unparse(node.func) in ("os.system", "os.popen")
            or any(
                keyword.arg == "shell" and ast.unparse(keyword.value) == "True"
                for keyword in node.keywords
            )
        )
    ]
    assert found == []


def test_no_module_is_executable():
    """Modules are imported, never run as they lie there."""
    assert [name_of(path) for path in SOURCES if path.stat().st_mode & 0o111] == []
