"""`converge bundle`: make, sign and verify bundles, and the keys for it. Runs where bundles are made."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any

from converge.bundle import check, keyring, minisign, moments, packing, statement
from converge.errors import UsageError
from converge.reports import output_file
from converge.usage import Parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_UNITS = {"h": 3600, "d": 86400, "w": 604800}


def main(words: Sequence[str]) -> int:
    """Run `converge bundle WORDS…` and return 0. Raises ConvergeError."""
    options = parser().parse_args(words)
    for line in options.action(options):
        print(line)  # noqa: T201  it is a command
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of `converge bundle`."""
    top = Parser(prog="converge bundle", description="Make, sign and verify bundles of profiles.")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for action, text, arguments in _COMMANDS:
        made = commands.add_parser(action.__name__, help=text, description=text)
        made.set_defaults(action=action)
        for names, about in arguments.items():
            made.add_argument(*names.split(), **about)
    return top


def build(options: argparse.Namespace) -> list[str]:
    """Pack a folder; what it says of the roll-out is checked by the rules of converge.bundle.rollout."""
    from converge.bundle import rollout

    meta: dict[str, Any] = {"profile": options.profile}
    wanted = {
        "percent": options.percent, "start": options.start, "over": options.over,
        "groups": options.group,
    }  # fmt: skip
    if plan := {name: value for name, value in wanted.items() if value is not None}:
        rollout.parse(plan)
        meta["rollout"] = plan
    data = packing.pack(options.folder, meta)
    output_file.put(options.output, data, 0o644)
    return [f"{options.output}: {len(packing.unpack(data).files)} files, {len(data)} bytes"]


def sign(options: argparse.Namespace) -> list[str]:
    """Sign a bundle; a signature by another key over the same statement is added to those there."""
    data = _read(options.bundle)
    packing.unpack(data)
    key = minisign.secret_key(_text(options.key), _password(options))
    file = options.bundle + ".minisig"
    others = _others(file, data, key) if os.path.exists(file) else ""
    if others and not (options.name or options.sequence):
        stated = statement.parse(minisign.signatures(others)[0].comment)
    else:
        name = options.name or os.path.basename(options.bundle).removesuffix(".tar.gz")
        sequence = options.sequence or str(int(time.time()))
        stated = statement.statement(name, sequence, _moment(options.expires))
    output_file.put(file, (others + minisign.sign(key, data, str(stated))).encode(), 0o644)
    return [f"{file}: {stated}"]


def _others(file: str, data: bytes, key: minisign.SecretKey) -> str:
    """Return the signatures that stand already over these very bytes, by other keys."""
    lines = _text(file).splitlines(keepends=True)
    kept = []
    for i, signature in enumerate(minisign.signatures("".join(lines))):
        if signature.id != key.id:
            kept += lines[4 * i : 4 * i + 4]
            continue
        try:
            minisign.verify(key.public, signature, data)
        except minisign.SignatureError:
            return ""  # they are all of another content
    return "".join(kept)


def verify(options: argparse.Namespace) -> list[str]:
    """Verify a bundle, its `.minisig` and, where they are, the changes of keys in its `.keys`."""
    data = _read(options.bundle)
    changes = options.bundle + ".keys"
    signed = check.Signed(
        content=data,
        signatures=_text(options.bundle + ".minisig"),
        keys=_text(changes) if os.path.exists(changes) else "",
    )
    root = keyring.ring(map(_public, options.key), options.threshold)
    believed = check.verify(signed, root, options.name)
    bundle = packing.unpack(data)
    check.fresh(believed.statement, "", check.Seen(), time.time())
    return [f"{options.bundle}: {believed.statement}; {len(bundle.files)} files"]


def keygen(options: argparse.Namespace) -> list[str]:
    """Make a key pair."""
    key = minisign.generate()
    output_file.put(
        options.secret, minisign.write_secret(key, _password(options)).encode(), 0o600, new=True
    )
    output_file.put(options.public, minisign.write_public(key.public).encode(), 0o644, new=True)
    return [key.public.text]


def rekey(options: argparse.Namespace) -> list[str]:
    """Add the next key list, signed by the secret keys given, and check that agents will follow."""
    root = keyring.ring(map(_public, options.old), options.old_threshold)
    before = _text(options.changes) if os.path.exists(options.changes) else ""
    now = keyring.follow(root, before)
    later = keyring.ring(map(_public, options.new), options.threshold, now.version + 1)
    password = _password(options)
    document = later.document()
    signatures = "".join(
        minisign.sign(minisign.secret_key(_text(file), password), document.encode(), "keys")
        for file in options.key
    )
    changes = before + keyring.change(document, signatures)
    keyring.follow(root, changes)
    output_file.put(options.changes, changes.encode(), 0o644)
    return [
        f"{options.changes}: version {later.version}, {later.threshold} of {len(later.keys)} keys"
    ]


def _public(text: str) -> minisign.PublicKey:
    return minisign.public_key(_text(text) if os.path.exists(text) else text)


def _moment(text: str) -> str:
    """Return a time as a statement has it; `30d` counts from now."""
    found = re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", text)
    if not found:
        return text
    return moments.text(time.time() + int(found[1]) * _UNITS[found[2]])


def _password(options: argparse.Namespace) -> bytes:
    return _read(options.password_file).rstrip(b"\n") if options.password_file else b""


def _text(path: str) -> str:
    return _read(path).decode(errors="replace")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(packing.MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


_FILE: dict[str, Any] = {"required": True, "metavar": "FILE"}
_FILES: dict[str, Any] = {"action": "append", **_FILE}
_COUNT: dict[str, Any] = {"type": int, "default": 1, "metavar": "N"}
_PASSWORD = {"metavar": "FILE", "help": "holds the password of the secret keys"}
# Each command: what it does, and its arguments.
_COMMANDS: tuple[tuple[Any, str, dict[str, dict[str, Any]]], ...] = (
    (build, "make one file of a profile's folder", {
        "folder": {"metavar": "FOLDER"},
        "--output -o": {**_FILE, "help": "the bundle, FILE.tar.gz"},
        "--profile": {"default": "profile.yaml", "help": "the profile in it (profile.yaml)"},
        "--percent": {"type": float, "help": "of the containers that take it, by a stable hash"},
        "--start": {"metavar": "TIME", "help": "when that begins, such as 2027-01-31T00:00:00Z"},
        "--over": {"metavar": "TIME", "help": "how long until all have taken it, such as 2h or 1d"},
        "--group": {"action": "append", "help": "only for containers of this group"},
    }),
    (sign, "sign a bundle, or add another key's signature to it", {
        "bundle": {"metavar": "BUNDLE"},
        "--key": {**_FILE, "help": "the secret key, made by keygen or minisign"},
        "--password-file": _PASSWORD,
        "--name": {"help": "whose bundle it is; agents ask for a name (its file's)"},
        "--sequence": {"metavar": "N", "help": "greater than any before (the seconds since 1970)"},
        "--expires": {"default": "30d", "metavar": "TIME", "help": "such as 30d (30d)"},
    }),
    (verify, "verify a bundle as an agent does", {
        "bundle": {"metavar": "BUNDLE"},
        "--key": {**_FILES, "metavar": "KEY", "help": "a public key, or its file"},
        "--threshold": {**_COUNT, "help": "how many of the keys must have signed (1)"},
        "--name": {"default": "", "help": "the name that it must have"},
    }),
    (keygen, "make a key pair in minisign's format", {
        "--secret": {**_FILE, "help": "where the secret key goes, mode 0600"},
        "--public": {**_FILE, "help": "where the public key goes"},
        "--password-file": _PASSWORD,
    }),
    (rekey, "add a change of keys to the file of changes that is served beside a bundle", {
        "changes": {"metavar": "BUNDLE.keys"},
        "--old": {**_FILES, "metavar": "KEY", "help": "the public keys that agents have"},
        "--old-threshold": {**_COUNT, "help": "how many of them must sign (1)"},
        "--new": {**_FILES, "metavar": "KEY", "help": "the public keys from now on"},
        "--threshold": {**_COUNT, "help": "how many of them must sign (1)"},
        "--key": {**_FILES, "help": "the secret keys that sign the change, old and new"},
        "--password-file": _PASSWORD,
    }),
)  # fmt: skip
