"""`scmmlab doctor` finds what was made bad on purpose, says how to mend it, and is content where all is well."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path

import psutil
import pytest
import requests

from scmmlab.config import ResourcesSpec
from scmmlab.doctor import Level, Subject, examine
from scmmlab.doctor.disks import check_folders, check_room, check_shared_memory
from scmmlab.doctor.known_vulnerabilities import check_versions, older
from scmmlab.doctor.machine import Machine, check_resources, table_bytes, this_machine
from scmmlab.doctor.mlflow_server import check_server
from scmmlab.doctor.open_ports import check_ports
from scmmlab.doctor.privacy import check_recordings, check_store, check_tables, readable_by_others
from scmmlab.doctor.ray_token import check_token
from scmmlab.doctor.sockets import Listener, listeners
from scmmlab.errors import ResourceError
from scmmlab.execution.jobs.dashboard import find_dashboard
from scmmlab.tables import read_manifest

GIB = 2**30
SHIPPED = {"shipped:eegmat": read_manifest("shipped:eegmat")}


def levels(findings):
    """Check → level, where each check is named once."""
    found = list(findings)
    assert all(finding.fix for finding in found if finding.level is not Level.OK), "each says how to mend it"
    assert not any("\n" in str(finding) for finding in found)
    names = {finding.check: finding.level for finding in found}
    assert len(names) == len(found)
    return names


# --- versions


@pytest.mark.parametrize(
    ("version", "floor", "expected"),
    [
        ("2.51.2", "2.52", True),
        ("2.52.0", "2.52", False),
        ("2.9", "2.52", True),
        ("10.0", "2.52", False),
        ("2.6.0+cpu", "2.6", False),
        ("3.16.1rc2", "3.16.1", False),
        ("3.16.0", "3.16.1", True),
        ("unknown", "1.0", True),
    ],
)
def test_versions_are_compared_by_their_numbers(version, floor, expected):
    assert older(version, floor) is expected


def test_versions_with_holes_are_named(monkeypatch):
    assert set(levels(check_versions()).values()) == {Level.OK}
    old = {"ray": "2.51.1", "mlflow": "3.16.0", "torch": "2.5.1"}
    monkeypatch.setattr(metadata, "version", old.get)
    findings = list(check_versions())
    assert [finding.level for finding in findings] == [Level.BAD] * 3
    assert "CVE-2023-48022" in findings[0].found


# --- the token


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home" / ".ray"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "auth_token").write_text("secret")
    (folder / "auth_token").chmod(0o600)
    return tmp_path / "home"


def test_a_token_for_its_owner_alone_is_fine(home):
    assert set(levels(check_token({"HOME": str(home), "RAY_AUTH_MODE": "token"})).values()) == {Level.OK}


def test_a_token_that_others_can_read_is_bad(home):
    (home / ".ray" / "auth_token").chmod(0o644)
    (home / ".ray").chmod(0o755)
    findings = list(check_token({"HOME": str(home), "RAY_AUTH_MODE": "token"}))
    assert [finding.level for finding in findings] == [Level.OK, Level.BAD, Level.WARN]
    assert "0644" in findings[1].found
    assert findings[1].fix == f"chmod 600 {home / '.ray' / 'auth_token'}"
    (home / ".ray").chmod(0o777)
    assert list(check_token({"HOME": str(home)}))[-1].level is Level.BAD
    assert "secret" not in " ".join(map(str, findings))


@pytest.mark.parametrize(("mode", "level"), [("token", Level.OK), (None, Level.WARN), ("disabled", Level.BAD)])
def test_authentication_must_be_on(home, mode, level):
    environment = {"HOME": str(home), **({"RAY_AUTH_MODE": mode} if mode else {})}
    assert levels(check_token(environment))["Ray's authentication"] is level


def test_a_token_elsewhere_or_in_the_environment_is_looked_at_too(home, tmp_path):
    token = tmp_path / "token"
    token.write_text("x")
    token.chmod(0o640)
    findings = list(check_token({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_AUTH_TOKEN": "x"}))
    assert [finding.level for finding in findings[:3]] == [Level.OK, Level.WARN, Level.BAD]
    (fresh,) = list(check_token({"RAY_AUTH_MODE": "token", "HOME": str(tmp_path / "nobody")}))[1:]
    assert fresh.level is Level.OK


# --- ports


@contextmanager
def listening(address: str, family: int = socket.AF_INET):
    with socket.socket(family) as server:
        server.bind((address, 0))
        server.listen()
        yield server.getsockname()[1]


def test_what_listens_is_read_from_the_kernel():
    with listening("0.0.0.0") as everywhere, listening("127.0.0.1") as here:
        found = {listener.port: listener for listener in listeners()}
        assert found[everywhere].address == "0.0.0.0"
        assert not found[everywhere].on_loopback
        assert found[here].on_loopback
        assert sys.executable.rpartition("/")[2] in found[here].command or "pytest" in found[here].command


def test_addresses_of_ipv6_are_understood():
    if not socket.has_ipv6 or not Path("/proc/net/tcp6").exists():
        pytest.skip("this machine has no IPv6")
    with listening("::1", socket.AF_INET6) as port:
        (found,) = (listener for listener in listeners() if listener.port == port)
    assert (found.address, found.on_loopback, found.place) == ("::1", True, f"[::1]:{port}")
    assert Listener("::ffff:127.0.0.1", 1, None).on_loopback
    assert not Listener("::", 1, None).on_loopback


def test_ports_of_ray_and_mlflow_on_every_address_are_bad():
    found = [
        Listener("0.0.0.0", 8265, "/usr/bin/python /venv/ray/dashboard/dashboard.py --port=8265"),
        Listener("10.0.0.3", 6379, "/venv/ray/core/src/ray/gcs/gcs_server --log_dir=x"),
        Listener("::", 5000, None),
        Listener("0.0.0.0", 22, "sshd"),
    ]
    assert levels(check_ports(found, token=False)) == {
        "Ray's dashboard": Level.BAD,
        "Ray's ports": Level.BAD,
        "MLflow's ports": Level.BAD,
    }
    assert levels(check_ports(found, token=True)) == {
        "Ray's dashboard": Level.WARN,
        "Ray's ports": Level.WARN,
        "MLflow's ports": Level.BAD,
    }
    figures = Listener("0.0.0.0", 44227, found[0].command)
    assert levels(check_ports([figures], token=True))["Ray's dashboard"] is Level.OK
    closed = [Listener("127.0.0.1", listener.port, listener.command) for listener in found]
    assert set(levels(check_ports(closed, token=True)).values()) == {Level.OK}
    assert set(levels(check_ports([], token=False)).values()) == {Level.OK}


LISTENS = """
import socket
server = socket.socket()
server.bind(("0.0.0.0", 0))
server.listen()
print(server.getsockname()[1], flush=True)
input()
"""


@pytest.mark.parametrize(("mode", "level"), [("token", Level.WARN), ("disabled", Level.BAD), (None, Level.BAD)])
def test_a_ray_is_judged_by_how_it_was_started_and_not_by_the_shell_of_who_asks(mode, level):
    command = [sys.executable, "-c", LISTENS, "raylet"]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_MODE"}
    environment |= {"RAY_AUTH_MODE": mode} if mode else {}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        port = int(server.stdout.readline())
        (own,) = (listener for listener in listeners() if listener.port == port)
        server.communicate("\n")
    for asked in (True, False):
        assert levels(check_ports([own], token=asked))["Ray's ports"] is level


def test_a_ray_whose_workers_cannot_be_asked_is_judged_by_its_raylet():
    raylet, worker = Listener("0.0.0.0", 1, "raylet", "token"), Listener("0.0.0.0", 2, "ray::IDLE", None)
    assert levels(check_ports([raylet, worker], token=False))["Ray's ports"] is Level.WARN
    assert levels(check_ports([worker], token=False))["Ray's ports"] is Level.BAD
    (finding,) = (found for found in check_ports([raylet] * 9, token=False) if found.check == "Ray's ports")
    assert "and 4 more" in finding.found


def test_a_program_that_listens_for_everybody_is_found_by_its_name():
    command = [sys.executable, "-c", LISTENS, "-m", "mlflow", "server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        port = int(server.stdout.readline())
        (finding,) = (finding for finding in check_ports(listeners(), token=True) if finding.check == "MLflow's ports")
        server.communicate("\n")
    assert finding.level is Level.BAD
    assert f"0.0.0.0:{port}" in finding.found


# --- MLflow's server


@contextmanager
def answering(hosts, version):
    """A server that answers to `hosts` (to all when None), as MLflow does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            known = hosts is None or self.headers["Host"].partition(":")[0] in hosts
            body = version.encode() if self.path == "/version" else b"{}"
            self.send_response(200 if known else 403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_server_must_turn_strange_host_names_away():
    with answering({"127.0.0.1"}, "3.17.2") as uri:
        assert list(levels(check_server(uri)).values()) == [Level.OK]
    with answering(None, "3.16.0") as uri:
        assert list(levels(check_server(uri)).values()) == [Level.BAD, Level.BAD]


@pytest.mark.parametrize("proxy", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("exceptions", [{}, {"no_proxy": "example.org, .lab"}, {"NO_PROXY": "example.org"}])
def test_a_server_on_this_machine_is_asked_without_a_proxy(monkeypatch, proxy, exceptions):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        for spelt in (name, name.upper()):
            # so that it is as before afterwards
            monkeypatch.setenv(spelt, "")
    monkeypatch.setenv(proxy, "http://127.0.0.1:9")  # where nobody answers
    for name, value in exceptions.items():
        monkeypatch.setenv(name, value)
    with answering(None, "3.17.2") as uri:
        for asked in (uri, uri.replace("127.0.0.1", "localhost")):
            (hosts,) = check_server(asked)
            assert "it accepts any host name" in hosts.found
        with pytest.raises(ResourceError, match="is not a Ray dashboard"):
            find_dashboard(uri, {})
        # what MLflow's client and Ray's ask with
        assert requests.get(f"{uri}/version", timeout=20).status_code == 200
    for value in exceptions.values():
        assert os.environ["no_proxy"].startswith(value.replace(" ", ""))


def test_a_server_that_is_away_is_a_warning_and_its_password_is_not_shown():
    (finding,) = check_server("http://me:secret@127.0.0.1:9")
    assert finding.level is Level.WARN
    assert "secret" not in str(finding)


@pytest.mark.slow
def test_a_real_mlflow_server_is_judged_by_its_allowed_hosts(tmp_path):
    sys.path.insert(0, str(Path(__file__).parents[1] / "tracking"))
    from mlflow_server import MlflowServer

    with MlflowServer(tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}") as server:
        assert set(levels(check_server(server.uri)).values()) == {Level.OK}


# --- data


@pytest.fixture
def open_folder():
    """A folder that every user of this machine can reach."""
    folder = Path("/tmp") / f"scmmlab-doctor-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "cells").mkdir(parents=True)
    for path in (folder, folder / "cells"):
        path.chmod(0o755)
    (folder / "cells" / "a.json").write_text("{}")
    (folder / "cells" / "a.json").chmod(0o644)
    yield folder
    shutil.rmtree(folder)


def test_a_store_that_everybody_can_read_is_told(open_folder):
    assert check_store(open_folder).level is Level.WARN
    assert "a.json" in check_store(open_folder).found
    (open_folder / "cells").chmod(0o750)
    assert check_store(open_folder).level is Level.OK
    (open_folder / "cells").chmod(0o755)
    open_folder.chmod(0o700)
    assert readable_by_others(open_folder / "cells") is None
    assert check_store(open_folder / "nothing").level is Level.OK


def test_features_of_people_that_everybody_can_read_are_bad(open_folder):
    manifest = SHIPPED["shipped:eegmat"]
    (finding,) = check_tables({str(open_folder): manifest})
    assert finding.level is Level.BAD
    synthetic = manifest.model_copy(update={"provenance": {"origin": "synthetic"}})
    assert list(check_tables({str(open_folder): synthetic})) == []
    assert list(check_tables(SHIPPED)) == []
    open_folder.chmod(0o700)
    assert [finding.level for finding in check_tables({str(open_folder): manifest})] == [Level.OK]


def test_recordings_that_everybody_can_read_are_bad_until_they_are_closed(open_folder):
    finding = check_recordings(open_folder)
    assert finding.level is Level.BAD
    assert finding.fix == f"chmod -R o= {open_folder}"
    subprocess.run(finding.fix, shell=True, check=True)
    assert check_recordings(open_folder).level is Level.OK
    assert check_recordings(open_folder / "nothing").level is Level.WARN


# --- disks


@pytest.fixture
def on_nfs(tmp_path, monkeypatch):
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "mounts").write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {tmp_path / 'far'} nfs4 rw 0 0\n")
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    return tmp_path / "far"


def test_a_store_or_database_over_the_network_is_told(on_nfs, tmp_path):
    far = levels(check_folders(on_nfs / "runs", f"sqlite:///{on_nfs / 'runs' / 'mlflow.db'}"))
    assert far == {"file system of the store": Level.WARN, "MLflow's database": Level.BAD}
    near = levels(check_folders(tmp_path / "runs", f"sqlite:///{tmp_path / 'mlflow.db'}"))
    assert set(near.values()) == {Level.OK}
    assert levels(check_folders(tmp_path / "runs", "http://host:5000")) == {"file system of the store": Level.OK}


def test_a_disk_without_room_is_bad(tmp_path, monkeypatch):
    usage = shutil._ntuple_diskusage
    for free, expected in ((100 * GIB, Level.OK), (3 * GIB, Level.WARN), (GIB // 2, Level.BAD)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage(1000 * GIB, 1000 * GIB - free, free))
        found = levels(check_room(tmp_path / "not" / "yet"))
        assert found["disk"] is expected
    assert found["disk for Ray"] is Level.BAD


def test_little_shared_memory_is_bad(tmp_path, monkeypatch):
    usage = shutil._ntuple_diskusage
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(64 * 2**20, 0, 64 * 2**20))  # Docker's default
    assert check_shared_memory(0).level is Level.BAD
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(GIB, 0, GIB))
    assert check_shared_memory(0).level is Level.OK
    assert check_shared_memory(GIB).level is Level.BAD
    monkeypatch.undo()
    assert check_shared_memory(0, tmp_path / "nothing").level is Level.WARN


# --- cores and memory


def test_a_study_is_held_against_cores_and_memory():
    small = Machine(cores=2, gpus=0, memory=8 * GIB, available=6 * GIB)
    asked = ResourcesSpec(workers=2)
    assert set(levels(check_resources(asked, SHIPPED, small, cluster=False)).values()) == {Level.OK}
    many = list(check_resources(ResourcesSpec(workers=4), SHIPPED, small, cluster=False))
    assert [finding.level for finding in many] == [Level.BAD]
    assert "4 CPU needed, 2 there" in many[0].found
    huge = {"a": SHIPPED["shipped:eegmat"].model_copy(update={"windows": 10_000_000})}
    assert levels(check_resources(asked, huge, small, cluster=False))["memory"] is Level.BAD
    busy = Machine(cores=2, gpus=0, memory=8 * GIB, available=GIB)
    assert levels(check_resources(asked, SHIPPED, busy, cluster=False))["memory"] is Level.WARN
    assert levels(check_resources(ResourcesSpec(workers=400), SHIPPED, small, cluster=True)) == {"cores": Level.OK}


def test_the_size_of_tables_is_that_of_their_features():
    manifest = SHIPPED["shipped:eegmat"]
    assert table_bytes(SHIPPED) == manifest.windows * len(manifest.channels) * len(manifest.bands) * 4


def test_the_limits_of_a_container_count(tmp_path, monkeypatch):
    whole = this_machine(tmp_path)
    assert 0 < whole.available <= whole.memory
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    zero = ("MemFree", "Buffers", "Cached", "Shmem", "Active", "Inactive")
    sizes = {"MemTotal": 16 * 2**20, "MemAvailable": 8 * 2**20, **dict.fromkeys(zero, 0)}
    (tmp_path / "meminfo").write_text("".join(f"{name}: {size} kB\n" for name, size in sizes.items()))
    whole = this_machine(tmp_path)
    assert (whole.memory, whole.available) == (16 * GIB, 8 * GIB)
    groups = tmp_path / "cgroup"
    groups.mkdir()
    (groups / "cpu.max").write_text("50000 100000\n")
    (groups / "memory.max").write_text(f"{4 * GIB}\n")
    (groups / "memory.current").write_text(f"{3 * GIB}\n")
    limited = this_machine(groups)
    assert (limited.cores, limited.memory, limited.available) == (0.5, 4 * GIB, GIB)
    (groups / "memory.stat").write_text(f"anon {GIB}\ninactive_file {2 * GIB}\nactive_file 0\n")
    assert this_machine(groups).available == 3 * GIB, "page cache can be dropped"


# --- all together


@pytest.mark.parametrize("error", [PermissionError("no such luck"), psutil.AccessDenied(1)])
def test_a_check_that_cannot_be_made_says_so_and_the_others_go_on(tmp_path, monkeypatch, error):
    def refused():
        raise error

    monkeypatch.setattr("scmmlab.doctor.examination.listeners", refused)
    found = levels(examine(Subject({"HOME": str(tmp_path)}, None, tmp_path, "")))
    assert found["open ports"] is Level.WARN
    assert "disk" in found
