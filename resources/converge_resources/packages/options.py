"""Which extra options of a package manager a profile may give."""

from __future__ import annotations

_WEAKENING = (
    "--allow", "--config", "--config-file", "--force", "--ignore-hold", "--installroot",
    "--keys-dir", "--no-check", "--no-gpg-checks", "--nogpgcheck", "--option", "--repofrompath",
    "--repositories-file", "--root", "--setopt", "--trusted",
)  # fmt: skip
_SHORT_VALUES = "cfopst"  # -o and -c set anything, -p is a root, -f may be --force, -s simulates


def refusal(option: str) -> str | None:
    """Say why an option is not accepted; None: it is.

    apk and dnf take abbreviated long options, so a beginning of a refused one is refused too.
    """
    if not option.startswith("-") or option in ("-", "--"):
        return "is not an option (it must start with `-`; write a value as `--name=value`)"
    if not option.isprintable():
        return "is not printable"
    word = option.partition("=")[0].lower()
    if option.startswith("--"):
        if any(word.startswith(weak) or weak.startswith(word) for weak in _WEAKENING):
            return "could weaken what the package manager checks, and is not accepted"
    elif not option[1:].isalpha() or any(letter in _SHORT_VALUES for letter in option[1:]):
        return "is not accepted: write the long form, or set it in the tool's own configuration"
    return None
