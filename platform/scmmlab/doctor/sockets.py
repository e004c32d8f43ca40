"""Which programs of this machine listen at which addresses."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import psutil


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


def listeners() -> list[Listener]:
    """All TCP sockets of this machine that wait for connections, by port."""
    found = {
        Listener(connection.laddr.ip, connection.laddr.port, *_program(connection.pid))
        for connection in psutil.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    return sorted(found, key=lambda listener: (listener.port, listener.address))


def _program(pid: int | None) -> tuple[str | None, str | None]:
    """Command line and RAY_AUTH_MODE of a process, as far as this user may know them."""
    command = mode = None
    try:
        process = psutil.Process(pid) if pid is not None else None
        if process is not None:
            command = " ".join(process.cmdline())
            environment = process.environ()
            # Ray's workers have their titles where their variables were
            mode = environment.get("RAY_AUTH_MODE", "") if "PATH" in environment else None
    except psutil.Error:  # it has ended, or is another user's
        pass
    return command, mode
