"""Hosts of one's own on one machine: each with its network, its processes, its name, its /tmp and its shared memory.

They are made of Linux namespaces and hang on a bridge, on which this machine is one more host. To kill a host kills all
that runs on it at once, as when the plug is pulled; to cut it off takes its cable out.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
_CLONE_NEWNET = 0x40000000

# what lies under /tmp and is needed (a clone, its environment) stays to be seen in the host's own, empty /tmp
_BOOT = """
set -e
name=$1; shift
hostname "$name"
ip link set lo up
mount -t tmpfs tmpfs /mnt
number=0
for kept in "$@"; do mkdir /mnt/$number; mount --bind "$kept" /mnt/$number; number=$((number + 1)); done
mount -t tmpfs -o mode=1777 tmpfs /tmp
number=0
for kept in "$@"; do mkdir -p "$kept"; mount --move /mnt/$number "$kept"; number=$((number + 1)); done
umount /mnt
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
echo ready
exec sleep infinity
"""


def why_no_hosts() -> str | None:
    """Why no hosts can be made here, or None where they can."""
    for program in ("unshare", "nsenter", "ip"):
        if shutil.which(program) is None:
            return f"there is no program '{program}' (Debian: util-linux, iproute2)"
    name = f"slp{os.getpid()}"
    for command in (
        ["unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "true"],
        ["ip", "link", "add", name, "type", "bridge"],
        ["ip", "link", "del", name],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return f"'{' '.join(command)}' is not allowed: {done.stderr.strip()}"
    return None


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


class Network:
    """A bridge with hosts; `with Network() as network` has it, and all its hosts are gone afterwards."""

    def __init__(self) -> None:
        self._number = os.getpid() % 250 + 1
        self.bridge = f"slb{os.getpid()}"
        self.hosts: list[Host] = []

    def address(self, place: int) -> str:
        """The address of that place; 254 is this machine's."""
        return f"10.199.{self._number}.{place}"

    def __enter__(self) -> Network:
        _ip("link", "add", self.bridge, "type", "bridge")
        _ip("addr", "add", f"{self.address(254)}/24", "dev", self.bridge)
        _ip("link", "set", self.bridge, "up")
        return self

    def __exit__(self, *_: object) -> None:
        for host in self.hosts:
            host.kill()
        _ip("link", "del", self.bridge)

    def host(self, name: str) -> Host:
        """A new host, switched on."""
        host = Host(self, name, len(self.hosts) + 1)
        self.hosts.append(host)
        host.switch_on()
        return host


class Host:
    """One host of a network."""

    def __init__(self, network: Network, name: str, place: int):
        self.name, self.address = name, network.address(place)
        self._network = network
        self._cable = f"slv{place}x{os.getpid()}"
        self._holder: subprocess.Popen[str] | None = None
        self._init = 0

    def switch_on(self) -> None:
        """Start it, with nothing of what was there before."""
        kept = [str(path) for path in {REPOSITORY, Path(sys.prefix)} if path.is_relative_to("/tmp")]
        spaces = ["--net", "--mount", "--pid", "--uts", "--ipc", "--mount-proc"]
        self._holder = subprocess.Popen(
            ["unshare", *spaces, "--fork", "--kill-child", "sh", "-c", _BOOT, "sh", self.name, *sorted(kept)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._holder.stdout is not None
        first = self._holder.stdout.readline()
        assert first == "ready\n", first + self._holder.stdout.read()
        pid = self._holder.pid
        self._init = int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()[0])
        _ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", str(self._init))
        _ip("link", "set", self._cable, "master", self._network.bridge, "up")
        for what in (["addr", "add", f"{self.address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"]):
            self.run("ip", *what)

    def kill(self) -> None:
        """Pull the plug."""
        if self._holder is not None:
            self._holder.send_signal(signal.SIGKILL)  # which takes the first process in there, and that all others
            self._holder.wait()
            with suppress(AssertionError):  # it goes with its other end, sooner or later
                _ip("link", "del", self._cable)
            self._holder = None

    def cut_off(self) -> None:
        """Take its cable out."""
        _ip("link", "set", self._cable, "down")

    def reconnect(self) -> None:
        """Put its cable in again."""
        _ip("link", "set", self._cable, "up")

    def popen(self, *command: object, **options: Any) -> subprocess.Popen[str]:
        """Start a program there, in the folder of the repository."""
        return subprocess.Popen([*self._enter(), *map(str, command)], text=True, **options)

    def run(self, *command: object, env: Mapping[str, str] | None = None) -> str:
        """Run a program there, and return what it prints."""
        done = subprocess.run([*self._enter(), *map(str, command)], capture_output=True, text=True, env=env)
        assert done.returncode == 0, f"{self.name}: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
        return done.stdout

    def processes(self) -> str:
        """The command lines of all that runs there."""
        return self.run("ps", "-eo", "args")

    def _enter(self) -> Sequence[str]:
        return ["nsenter", "-t", str(self._init), "-n", "-m", "-p", "-u", "-i", f"--wd={REPOSITORY}", "--"]

    @contextmanager
    def forwarded(self, port: int) -> Iterator[int]:
        """A port of this machine's loopback that leads to one of the host's loopback, as `ssh -L` makes one."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=self._forward, args=(server, port), daemon=True).start()
            yield server.getsockname()[1]

    def _forward(self, server: socket.socket, port: int) -> None:
        while True:
            try:
                here, _ = server.accept()
            except OSError:  # it was closed
                return
            threading.Thread(target=self._carry, args=(here, port), daemon=True).start()

    def _carry(self, here: socket.socket, port: int) -> None:
        # a socket belongs to the network that its thread is in when it is made
        with open(f"/proc/{self._init}/ns/net", encoding="utf-8") as network:
            assert ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _CLONE_NEWNET) == 0
        # where nobody listens yet, there is nobody here either
        with here, suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)) as there:
            back = threading.Thread(target=_pump, args=(there, here), daemon=True)
            back.start()
            _pump(here, there)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
