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


def postgresql_programs() -> Path | None:
    """Folder of `initdb` and `postgres`: Debian keeps them outside PATH. None where PostgreSQL is not installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name.split(".")[0]))
    on_path = shutil.which("initdb")
    folders = [*reversed(debian), *([Path(on_path).resolve().parent] if on_path else [])]
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


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
            stdin=subprocess.DEVNULL,
            # pg_ctl's child keeps a pipe open for as long as the server runs
            stdout=(self._folder / "output").open("ab"),
            stderr=subprocess.STDOUT,
            **who,
        )
        assert done.returncode == 0, (self._folder / "output").read_text()
