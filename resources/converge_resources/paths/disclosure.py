"""Which files hold secrets, or look like it, so that their content is not shown."""

from __future__ import annotations

import os

from converge.files import modes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from converge_resources.file import FileSpec, FileState

_HIDDEN_PATHS = (
    r"/etc/g?shadow-?|/etc/ssl/private/.*|.*\.key|(.*/)?ssh_host_[^/]*_key|(.*/)?id_[a-z0-9_]+"
)
_OTHERS_READ = 0o044
_NEW = 0o644


def content(spec: FileSpec) -> bytes | None:
    """Return the content that is declared, with its secrets put in; None: none is declared."""
    text = spec.content
    if text is None:
        return None
    if spec.secrets:
        from converge.language.secret_references import put_in

        text = put_in(text, spec.secrets)
    data: bytes = text.encode(errors="surrogateescape")  # a secret may be no UTF-8 (PEP 383)
    return data


def has_secrets(spec: FileSpec) -> bool:
    """Tell whether the content is, or holds, a secret."""
    return bool(spec.secrets) or (spec.content is not None and type(spec.content) is not str)


def private(bits: int) -> bool:
    """Tell whether neither group nor others may read what has these permission bits."""
    return not bits & _OTHERS_READ


def secret_path(path: str, mode: str | None) -> bool:
    """Tell whether a file looks like a secret by its name, or by the mode that it is to have.

    So do account hashes, host keys, private keys, and what only its owner may read.
    """
    import re

    if re.fullmatch(_HIDDEN_PATHS, os.path.normpath(path), re.DOTALL):
        return True
    return mode is not None and private(modes.apply(mode, _NEW))


def secret(path: str, before: FileState | None, after: FileState | None) -> bool:
    """Tell whether a file's content, before or after a change, looks like a secret.

    So do those of `secret_path`, what only its owner may read now, and a private key in it.
    """
    if secret_path(path, after.mode if after else None):
        return True
    return any(
        state is not None and (state.private or b"PRIVATE KEY-----" in (state.content or b""))
        for state in (before, after)
    )
