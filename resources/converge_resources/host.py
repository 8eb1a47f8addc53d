"""The kind `host`: the addresses of a name in /etc/hosts (hosts(5))."""

from __future__ import annotations

from converge_resources.parts.edits import Edited, PartProvider, PartSpec, PartState
from converge_resources.parts.lines import Cut, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Annotated

    from converge.declared import Asked, Declared
    from converge.fields import AbsolutePath, Doc, Matching, Words
    from converge.system import ReadOnlySystem

_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*"


class HostSpec(PartSpec):
    """A name, the addresses that it stands for, and what else these are called."""

    name: Annotated[str, Matching(_NAME, "a host's name"), Doc("The name, first in its line.")]
    path: Annotated[AbsolutePath, Doc("The file.")] = "/etc/hosts"
    ip: Annotated[Words, Doc("Its address, or all its addresses, IPv4 and IPv6.")] = ()
    aliases: Annotated[
        Sequence[Annotated[str, Matching(_NAME, "a host's name")]] | None,
        Doc("Exactly the other names; unset: those that there are stay."),
    ] = None

    def problems(self) -> Iterable[tuple[str, str]]:
        """A name that is present has addresses; localhost stays."""
        yield from super().problems()
        if self.state == "present" and not self.ip:
            yield "ip", "a host needs an `ip`"
        if self.state == "absent" and self.aliases is not None:
            yield "aliases", "what is absent has no aliases"
        if self.state == "absent" and self.name.lower() == "localhost":
            yield "state", "localhost is protected: programs cannot do without"
        for address in self.ip:
            if _canonical(address) != address:
                yield "ip", _ip_problem(address)
        if len(set(self.ip)) != len(self.ip):
            yield "ip", "an address is there twice"


class HostProvider(PartProvider[HostSpec]):
    """Reads and edits names in /etc/hosts."""

    kind = "host"
    spec = HostSpec

    def part(self, spec: HostSpec) -> str:
        """A name has one owner."""
        return spec.name.lower()

    def claims(self, spec: HostSpec) -> Iterable[str]:
        """An alias has one owner too."""
        yield from super().claims(spec)
        for name in (spec.name, *(spec.aliases or ())):
            yield f"name of a host:{spec.path} {name.lower()}"

    def wanted(self, spec: HostSpec) -> PartState:
        """Return the addresses, and the aliases where they are declared."""
        return PartState(value=_described(spec.ip, spec.aliases))

    def edit(self, spec: HostSpec, body: str) -> Edited:
        """Give the name its addresses, and take it out of every other line."""
        text = split(body)
        ours = {spec.name.lower()}
        if spec.state == "present":
            ours |= {name.lower() for name in spec.aliases or ()}
        cuts, left, found = [], list(spec.ip), []
        for index, line in enumerate(text.lines):
            words = line.partition("#")[0].split()
            if ours.isdisjoint(word.lower() for word in words[1:]):
                continue
            if spec.name.lower() in map(str.lower, words[1:]):
                found.append(words)
            address = _address(words[0], spec.ip)
            if spec.state == "absent" and spec.ip and address not in spec.ip:
                continue
            new = _others(words, ours)
            if spec.state == "present" and address in left and (cut := _kept(spec, words)):
                left.remove(address)
                new = cut
            if new != words:
                cuts.append(_cut(index, line, new))
        added = [_line([address, *_names(spec)]) for address in left if spec.state == "present"]
        if added:
            end = len(text.lines)
            cuts.append(Cut(first=end, after=end, lines=tuple(added)))
        return Edited(body=text.changed(cuts).text(), found=_state(spec, found))

    def declare(self, asked: Asked, system: ReadOnlySystem) -> Iterable[Declared]:
        """Tell of the names in /etc/hosts."""
        from converge_resources.adoption import parts

        return parts.hosts(asked, system)


def _address(word: str, declared: Sequence[str]) -> str:
    """Return an address as it is declared, where the file spells it otherwise (fd00:0::1)."""
    address = word.lower()
    if address in declared or ":" not in address:
        return address
    return _canonical(address) or address


def _kept(spec: HostSpec, words: list[str]) -> list[str]:
    """Return the words of the line that is to be this name's; empty: another line shall be it."""
    if spec.aliases is not None:
        return [words[0], *_names(spec)]
    return words if spec.name.lower() in map(str.lower, words[1:]) else []


def _others(words: list[str], ours: set[str]) -> list[str]:
    """Return the words of a line without these names; nothing, if it then has no name."""
    rest = [word for word in words[1:] if word.lower() not in ours]
    return [words[0], *rest] if rest else []


def _names(spec: HostSpec) -> list[str]:
    return [spec.name, *(spec.aliases or ())]


def _cut(index: int, line: str, words: list[str]) -> Cut:
    """Return the line with other words, its comment kept; without words it goes."""
    _, sign, comment = line.partition("#")
    new = (_line(words) + (f" #{comment}" if sign else ""),) if words else ()
    return Cut(first=index, after=index + 1, lines=new)


def _line(words: list[str]) -> str:
    return f"{words[0]}\t{' '.join(words[1:])}"


def _described(addresses: Sequence[str], aliases: Sequence[str] | None) -> str:
    return ", ".join(addresses) + (f" ({', '.join(aliases)})" if aliases else "")


def _state(spec: HostSpec, found: list[list[str]]) -> PartState | None:
    """Return what the name stands for now; None: it is in no line."""
    if not found:
        return None
    name = spec.name.lower()
    aliases = [word for word in found[0][1:] if word.lower() != name]
    shown = aliases if spec.aliases is not None else None
    return PartState(value=_described([words[0].lower() for words in found], shown))


def _canonical(address: str) -> str | None:
    import ipaddress

    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return None


def _ip_problem(address: str) -> str:
    canonical = _canonical(address)
    if canonical is None:
        return f"{address!r} is no IP address"
    return f"write {address!r} as `{canonical}`, so that it is found in the file"
