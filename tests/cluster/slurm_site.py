"""A real Slurm of one's own: munged, slurmctld and a slurmd for each of its nodes, all on this machine, in a folder."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from debian_packages import library_folders, package_root

REPOSITORY = Path(__file__).parents[2]
DAEMONS = ("munged", "slurmctld", "slurmd", "slurmstepd")
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
FOLDERS = ("usr/sbin", "usr/bin", "sbin", "bin")

CONFIGURATION = """
ClusterName=scmmlab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
# a requeued job waits for as long as the credentials of its last start are good
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdSpoolDir={folder}/%n
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/%n.log
{plugins}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerParameters=sched_interval=2,bf_interval=2
KillWait=10
MailProg=/bin/true
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def slurm_root() -> Path | None:
    """The folder under which Debian's packages of Slurm lie: `/`, or one that they were unpacked to. None without."""
    root = package_root("slurm", PACKAGES, _has_slurm)
    if root not in (None, Path("/")):
        # what is installed has it from Debian's alternatives, and the daemons go by their names
        for program in root.glob("usr/sbin/*-wlm"):
            with suppress(FileExistsError):
                program.with_name(program.name.removesuffix("-wlm")).symlink_to(program.name)
    return root


class SlurmSite:
    """`with SlurmSite(root) as site` runs one; `site.run("sbatch", …)` speaks with it.

    Parameters
    ----------
    root : Path
        Where the packages lie, as `slurm_root` finds it.
    nodes : int
        Nodes, `node1` and so on. Each believes that it has `cpus` processors.
    """

    def __init__(self, root: Path, nodes: int = 2, cpus: int = 4):
        self._root = root
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
        self._nodes, self._cpus = [f"node{number}" for number in range(1, nodes + 1)], cpus
        self._daemons: list[subprocess.Popen[bytes]] = []
        self.environment = _environment(root) | {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def __enter__(self) -> SlurmSite:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(AssertionError):  # what a failed test left
            self.run("scancel", f"--user={_user()}")
            self._until(lambda: not self.run("squeue", "--noheader"))
        self._stop()

    def run(
        self, program: str, *arguments: object, check: bool = True, environment: Mapping[str, str] | None = None
    ) -> str:
        """What one of Slurm's commands prints, said in the repository's folder."""
        done = subprocess.run(
            [program, *map(str, arguments)],
            cwd=REPOSITORY,
            env={**self.environment, **(environment or {})},
            capture_output=True,
            text=True,
        )
        assert not check or done.returncode == 0, f"{program}: {done.stdout}{done.stderr}\n{self.logs()}"
        return done.stdout

    def logs(self) -> str:
        """The last lines of each daemon."""
        return "\n".join(
            f"--- {file.name}\n" + "\n".join(file.read_text(errors="replace").splitlines()[-12:])
            for file in sorted(self.folder.glob("*.log"))
        )

    def _start(self) -> None:
        folder = self.folder
        (folder / "state").mkdir()
        key = folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        ports = free_ports(len(self._nodes) + 1)
        nodes = [
            f"NodeName={name} NodeHostname={socket.gethostname()} NodeAddr=127.0.0.1 Port={port} CPUs={self._cpus} "
            f"RealMemory=64000 State=UNKNOWN"
            for name, port in zip(self._nodes, ports[1:], strict=True)
        ]
        plugins = next(folder for folder in _library_folders(self._root) if (folder / "auth_munge.so").exists())
        (folder / "slurm.conf").write_text(
            CONFIGURATION.format(
                host=socket.gethostname(),
                port=ports[0],
                user=_user(),
                folder=folder,
                plugins=f"PluginDir={plugins}",
                nodes="\n".join(nodes),
            )
        )
        if _version(self._root) >= 23:  # before, cgroups are left alone unless asked for
            (folder / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
        self._daemon(
            "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket",
            f"--pid-file={folder}/munged.pid", f"--seed-file={folder}/munge.seed", f"--log-file={folder}/munged.log",
        )  # fmt: skip
        self._until((folder / "munge.socket").exists)
        self._daemon("slurmctld", "-D", "-c")
        for name in self._nodes:
            (folder / name).mkdir()
            self._daemon("slurmd", "-D", "-N", name, "-d", _program(self._root, "slurmstepd"))
        self._until(lambda: self.run("sinfo", "-h", "-t", "idle", "-o", "%D", check=False).strip() == f"{len(nodes)}")

    def _daemon(self, name: str, *arguments: object) -> None:
        with (self.folder / f"{name}.out.log").open("ab") as output:
            self._daemons.append(
                subprocess.Popen(
                    [_program(self._root, name), *map(str, arguments)],
                    cwd=self.folder,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            )

    def _until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not condition():
            dead = [daemon.args for daemon in self._daemons if daemon.poll() is not None]
            if dead or time.monotonic() > end:
                raise AssertionError(f"Slurm does not start; ended: {dead}\n{self.logs()}")
            time.sleep(0.1)

    def _stop(self) -> None:
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in reversed(self._daemons):
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def free_ports(number: int) -> list[int]:
    """Ports of this machine that nobody has."""
    probes = [socket.socket() for _ in range(number)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _has_slurm(root: Path) -> bool:
    return all(_program(root, name) or _program(root, f"{name}-wlm") for name in DAEMONS)


def _program(root: Path, name: str) -> Path | None:
    return next((path for folder in FOLDERS if (path := root / folder / name).exists()), None)


def _version(root: Path) -> int:
    """The year of Slurm's version: 22 for 22.05."""
    said = subprocess.run([root / "usr/sbin/slurmd", "-V"], env=_environment(root), capture_output=True, text=True)
    return int(said.stdout.split()[1].partition(".")[0])


def _environment(root: Path) -> dict[str, str]:
    """Ours, without what an outer Slurm or Ray says, and with the place of unpacked programs."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH", "RAY_"))}
    if root == Path("/"):
        return ours
    return ours | {
        "PATH": ":".join([*(str(root / folder) for folder in FOLDERS), ours["PATH"]]),
        "LD_LIBRARY_PATH": ":".join(str(folder) for folder in _library_folders(root)),
    }


def _library_folders(root: Path) -> list[Path]:
    libraries = library_folders(root)
    return [*libraries, *(folder / "slurm-wlm" for folder in libraries)]
