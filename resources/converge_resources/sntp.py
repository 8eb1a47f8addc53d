"""Asking a time server how far this clock is off: one packet there and back (SNTP, RFC 4330)."""

from __future__ import annotations

import os
import struct
import time

_UNIX = 2_208_988_800  # seconds from 1900, where NTP counts from, to 1970
_PACKET = struct.Struct("!BBbb11I")
_PORT = 123
_NOT_SYNCHRONISED = 3  # the leap indicator of a server that has no time itself


class NoTimeError(Exception):
    """A server gave no usable answer; the message says why."""


def offset(server: str, timeout: float) -> float:
    """Return by how many seconds a server is ahead of this clock. Raises NoTimeError.

    `server` is HOST, HOST:PORT or [IPV6]:PORT.
    """
    import socket

    host, port = _address(server)
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(kind, socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            sock.connect(address)  # answers of others are not taken
            return _exchange(sock)
    except OSError as error:
        raise NoTimeError(error.strerror or "no answer came") from None


def _exchange(sock: object) -> float:
    # What is sent as the time is random: the answer repeats it, and nobody else can know it.
    cookie = int.from_bytes(os.urandom(8))
    request = _PACKET.pack(0x23, *[0] * 12, cookie >> 32, cookie & 0xFFFFFFFF)
    sent = time.time()
    sock.send(request)  # type: ignore[attr-defined]
    answer = sock.recv(1024)  # type: ignore[attr-defined]
    came = time.time()
    if len(answer) < _PACKET.size:
        raise NoTimeError("the answer is too short")
    first, stratum, *_, high, low, received, parts, left, more = _PACKET.unpack(
        answer[: _PACKET.size]
    )
    if (high << 32 | low) != cookie or first & 7 != 4:
        raise NoTimeError("the answer is not to what was asked")
    if first >> 6 == _NOT_SYNCHRONISED or not 1 <= stratum <= 15:
        raise NoTimeError("the server is not synchronised itself")
    return ((_seconds(received, parts, came) - sent) + (_seconds(left, more, came) - came)) / 2


def _seconds(whole: int, parts: int, near: float) -> float:
    """Return an NTP time as seconds since 1970, of the era (136 years) that is nearest to a time."""
    found = whole - _UNIX + parts / 2**32
    return found + round((near - found) / 2**32) * 2**32


def _address(server: str) -> tuple[str, int]:
    host, colon, port = server.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.startswith("[")):
        return host.strip("[]"), int(port)
    return server.strip("[]"), _PORT
