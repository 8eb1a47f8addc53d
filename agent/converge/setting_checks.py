"""What each setting may be: a check takes a value from file, environment or flag and returns it.

A check raises ValueError with what is wrong, in words that follow the setting's name.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SHORTEST = 0.01  # seconds


def is_var(name: str) -> bool:
    """Tell whether a var may have this name: letters, digits and underscores, of ASCII."""
    return name.isascii() and name.isidentifier()


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"must be true or false, not {value!r}")


def _number(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9:
        return float(value)
    raise ValueError(f"must be a number of seconds, not {value!r}")


def _duration(value: Any) -> float:
    seconds = _number(value)
    if seconds >= _SHORTEST:
        return seconds
    raise ValueError(f"must be at least {_SHORTEST:g} seconds, not {value!r}")


def _on_or_off(value: Any) -> str:
    """YAML 1.2 and the environment give words; Python's own booleans come from `true`."""
    if value in ("on", "off"):
        return str(value)
    if isinstance(value, bool):
        return "on" if value else "off"
    raise ValueError(f"must be on or off, not {value!r}")


def _own_address(value: Any) -> str:
    """Accept unix:PATH, or HOST:PORT of the loopback device: nothing is served to others."""
    text = _text(value)
    host, colon, port = text.rpartition(":")
    if text.startswith("unix:/") and "\n" not in text:
        return text
    loopback = host in ("localhost", "[::1]") or _is_loopback(host)
    if colon and loopback and port.isdigit() and 0 < int(port) < 65536:
        return text.replace("localhost:", "127.0.0.1:", 1)
    raise ValueError(
        f"must be unix:/PATH or a loopback HOST:PORT such as 127.0.0.1:9464, not {text!r}"
    )


def _is_loopback(host: str) -> bool:
    first, *rest = host.split(".")
    return first == "127" and len(rest) == 3 and all(p.isdecimal() and len(p) < 4 for p in rest)


def _count(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"must be a whole number, 0 or more, not {value!r}")


def _text(value: Any) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError(f"must be a text, not {value!r}")


def _path(value: Any) -> str:
    if isinstance(value, str) and value.startswith("/") and "\0" not in value:
        return os.path.normpath(value).replace("//", "/", 1)
    raise ValueError(f"must be an absolute path, not {value!r}")


def _root(value: Any) -> str:
    path = _path(value)
    if os.path.isdir(path):
        return path
    raise ValueError(f"there is no directory {path}")


def _one_of(*words: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value in words:
            return str(value)
        raise ValueError(f"must be one of {', '.join(words)}, not {value!r}")

    return check


def _words(value: Any) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value
    if isinstance(words, list | tuple) and all(isinstance(word, str) for word in words):
        return tuple(word.strip() for word in words if word.strip())
    raise ValueError(f"must be a list of words, not {value!r}")


def _vars(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"must be a mapping of names to values, not {value!r}")
    for name in value:
        if not isinstance(name, str) or not is_var(name):
            raise ValueError(f"{name!r} is no name of a var: letters, digits and underscores")
    return dict(value)


_FLAGS = (
    *("noop", "json", "detailed_exitcodes", "quiet", "verbose"),
    *("full", "splay", "resident", "unsigned"),
)
PATHS = (
    *("root", "state_dir", "runtime_dir"),
    *("ca_file", "client_certificate", "client_key", "token_file", "report_token_file"),
)


def _targets(value: Any) -> tuple[str, ...]:
    """Accept where reports may be sent to (converge.delivery)."""
    import re

    targets = _words(value)
    for target in targets:
        if not re.fullmatch(r"syslog|file:/[^\n\0]+|(pushgateway\+)?https?://[^\s]+", target):
            raise ValueError(
                f"must be https://…, pushgateway+https://…, file:/DIRECTORY or syslog, not {target!r}"
            )
    return targets


CHECKS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("profile", "bundle_name"), _text),
    **dict.fromkeys((*PATHS, "facts_dir"), _path),
    "root": _root,
    "vars": _vars,
    **dict.fromkeys(_FLAGS, _flag),
    "report_to": _targets,
    "phase": _one_of("bake", "start", "run"),
    **dict.fromkeys(("tags", "groups", "keys", "redirects"), _words),
    "color": _one_of("auto", "always", "never"),
    "wait": _number,
    **dict.fromkeys(("interval", "deadline", "poll"), _duration),
    "events": _on_or_off,
    "log_format": _one_of("logfmt", "json"),
    "log_to": _one_of("stderr", "syslog"),
    "metrics_listen": _own_address,
    **dict.fromkeys(("allow_deletions", "backup_bytes", "backup_days", "threshold"), _count),
}
