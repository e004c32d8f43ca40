"""A real PostgreSQL server of one's own: a new cluster in a folder, on loopback, with a password."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

from mlflow_server import free_port

from debian_packages import library_folders, package_root


def postgresql_programs() -> Path | None:
    """Folder of `initdb` and `postgres`: Debian keeps them outside PATH. None where it cannot be had."""
    on_path = shutil.which("initdb")
    if on_path and _has_server(here := Path(on_path).resolve().parent):
        return here
    root = package_root("postgresql", ["postgresql"], lambda root: bool(_folders(root)))
    return _folders(root)[-1] if root is not None else None


def _folders(root: Path) -> list[Path]:
    """Those of each version, the newest last."""
    found = filter(_has_server, root.glob("usr/lib/postgresql/*/bin"))
    return sorted(found, key=lambda folder: int(folder.parent.name.split(".")[0]))


def _has_server(folder: Path) -> bool:
    return all((folder / program).exists() for program in ("initdb", "pg_ctl", "postgres"))


class PostgresqlServer:
    """`with PostgresqlServer(programs) as server` runs one; `server.uri` is what MLflow and psycopg2 connect to."""

    def __init__(self, programs: Path):
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="scmmlab-postgresql-", dir="/tmp"))
        self._port = free_port()
        self._password = secrets.token_hex(16)
        self._user = pwd.getpwnam("nobody") if os.getuid() == 0 else None  # it refuses to run as root
        self.uri = f"postgresql+psycopg2://mlflow:{self._password}@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> PostgresqlServer:
        data, password = self._folder / "data", self._folder / "password"
        password.write_text(self._password)
        if self._user:
            for path in (self._folder, password):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "-D", data, "-U", "mlflow", "-A", "scram-sha-256", "--pwfile", password, "-E", "UTF8")
        settings = f"-p {self._port} -h 127.0.0.1 -k {self._folder}"
        self._run("pg_ctl", "-D", data, "-l", self._folder / "log", "-o", settings, "-w", "-t", "120", "start")
        return self

    def __exit__(self, *_: object) -> None:
        self._run("pg_ctl", "-D", self._folder / "data", "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: object) -> None:
        who = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []} if self._user else {}
        done = subprocess.run(
            [self._programs / program, *map(str, arguments)],
            cwd=self._folder,
            env=os.environ | self._libraries(),
            stdin=subprocess.DEVNULL,
            # pg_ctl's child keeps a pipe open for as long as the server runs
            stdout=(self._folder / "output").open("ab"),
            stderr=subprocess.STDOUT,
            **who,
        )
        assert done.returncode == 0, (self._folder / "output").read_text()

    def _libraries(self) -> dict[str, str]:
        """Where unpacked programs find what they need."""
        root = next(folder for folder in self._programs.parents if folder == Path("/") or (folder / "usr/lib").is_dir())
        return {} if root == Path("/") else {"LD_LIBRARY_PATH": ":".join(map(str, library_folders(root)))}
