"""Which programs of this machine listen at which addresses, as the kernel tells it."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LISTENING = "0A"


@dataclass(frozen=True)
class Listener:
    """A TCP socket that waits for connections."""

    address: str
    """`127.0.0.1`, `0.0.0.0`, `::`, …"""
    port: int
    """TCP port."""
    command: str | None
    """Command line of its program; None where this user may not know it."""
    ray_auth_mode: str | None = None
    """RAY_AUTH_MODE as its program was started with; None where this user may not know it."""

    @property
    def on_loopback(self) -> bool:
        """Whether this machine alone can reach it."""
        address = ipaddress.ip_address(self.address)
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address).is_loopback

    @property
    def place(self) -> str:
        """Address and port, as they are written."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def listeners(proc: Path = Path("/proc")) -> list[Listener]:
    """All TCP sockets of this machine that wait for connections, by port.

    Parameters
    ----------
    proc : Path
        The kernel's view of its processes; a machine without one has no listeners that we know of.
    """
    programs = dict(_sockets(proc))
    found = set()
    for table in ("net/tcp", "net/tcp6"):
        with suppress(OSError):
            for line in (proc / table).read_text(encoding="utf-8").splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                if state == _LISTENING:
                    address, _, port = local.partition(":")
                    command, mode = programs.get(rest[5], (None, None))
                    found.add(Listener(_address(address), int(port, 16), command, mode))
    return sorted(found, key=lambda listener: (listener.port, listener.address))


def _address(digits: str) -> str:
    """An address that the kernel writes as 32-bit words in the machine's own order of bytes."""
    words = [bytes.fromhex(digits[start : start + 8])[::-1] for start in range(0, len(digits), 8)]
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, b"".join(words))


def _sockets(proc: Path) -> Iterator[tuple[str, tuple[str, str | None]]]:
    """Inode of a socket → command line of a process that has it open, and the RAY_AUTH_MODE that it was given."""
    for process in proc.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            program = _command(process), _mode(process)
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    link = re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink()))
                    if link:
                        yield link[1], program


def _command(process: Path) -> str:
    return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()


def _mode(process: Path) -> str | None:
    """RAY_AUTH_MODE that a process was started with; Ray's workers have their titles where their variables were."""
    try:
        variables = (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    named = dict(variable.split(b"=", 1) for variable in variables if b"=" in variable)
    return named.get(b"RAY_AUTH_MODE", b"").decode(errors="replace") if b"PATH" in named else None
