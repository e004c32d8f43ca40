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
    commands = _commands(proc)
    found = set()
    for table in ("net/tcp", "net/tcp6"):
        with suppress(OSError):
            for line in (proc / table).read_text().splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                if state == _LISTENING:
                    address, _, port = local.partition(":")
                    found.add(Listener(_address(address), int(port, 16), commands.get(rest[5])))
    return sorted(found, key=lambda listener: (listener.port, listener.address))


def _address(digits: str) -> str:
    """An address that the kernel writes as 32-bit words in the machine's own order of bytes."""
    words = [bytes.fromhex(digits[start : start + 8])[::-1] for start in range(0, len(digits), 8)]
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, b"".join(words))


def _commands(proc: Path) -> dict[str, str]:
    """Inode of a socket → command line of a process that has it open."""
    return dict(_sockets(proc))


def _sockets(proc: Path) -> Iterator[tuple[str, str]]:
    for process in proc.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    link = re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink()))
                    if link:
                        yield link[1], command
