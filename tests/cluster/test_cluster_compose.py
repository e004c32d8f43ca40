"""The Compose recipe: its schema, what it publishes, its secrets, and its server of MLflow for real."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

import pytest
import yaml
from pyarrow import fs
from ray.scripts.scripts import start as ray_start

sys.path.insert(0, str(Path(__file__).parents[1] / "tracking"))
from mlflow_server import free_port
from postgresql_server import PostgresqlServer, postgresql_programs

from s3_server import S3Server, s3_server
from scmmlab.doctor import Level
from scmmlab.doctor.mlflow_server import check_server

REPOSITORY = Path(__file__).parents[2]
COMPOSE = REPOSITORY / "cluster" / "compose"
TEXT = (COMPOSE / "compose.yaml").read_text()
FILE = yaml.safe_load(TEXT)
SERVICES = FILE["services"]


def schema_check(*files: Path) -> subprocess.CompletedProcess[str]:
    """By the schema of the Compose specification."""
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", *files]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A copy of the recipe in which `make-secrets` was called."""
    folder = tmp_path_factory.mktemp("compose") / "compose"
    shutil.copytree(COMPOSE, folder, ignore=shutil.ignore_patterns("secrets", "data", ".env"))
    subprocess.run([folder / "make-secrets"], check=True, capture_output=True)
    return folder


class TestFile:
    def test_it_is_what_the_compose_specification_says(self, tmp_path):
        assert schema_check(COMPOSE / "compose.yaml", COMPOSE / "compose.gpu.yaml").returncode == 0
        wrong = tmp_path / "compose.yaml"
        wrong.write_text(TEXT.replace("  worker:\n", "  worker:\n    published: all\n"))
        assert "'published' was unexpected" in schema_check(wrong).stdout

    def test_what_is_published_is_on_loopback(self):
        published = [port for service in SERVICES.values() for port in service.get("ports", [])]
        assert len(published) == 3
        assert all(port.startswith("127.0.0.1:") for port in published)
        assert not any("network_mode" in service for service in SERVICES.values())

    def test_nobody_is_root_or_can_become_it_and_the_root_is_read_only(self):
        for name, service in SERVICES.items():
            assert service["user"].startswith("${SCMMLAB_UID:?"), name
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert any(mount.startswith("/tmp:") for mount in service["tmpfs"]), name
            assert not {"privileged", "cap_add", "pid", "ipc"} & set(service), name

    def test_the_database_is_on_a_network_of_its_own(self):
        assert FILE["networks"]["database"] == {"internal": True}
        assert {name for name, service in SERVICES.items() if "database" in service["networks"]} == {
            "postgresql",
            "mlflow",
        }
        assert SERVICES["postgresql"]["networks"] == ["database"]

    def test_images_are_pinned(self):
        for service in SERVICES.values():
            assert re.search(r":[\w.\-]+\}?$", service["image"])
            assert "latest" not in service["image"]

    def test_what_waits_waits_for_something_that_is_there(self):
        for name, service in SERVICES.items():
            for other, wanted in service.get("depends_on", {}).items():
                assert wanted["condition"] != "service_healthy" or "healthcheck" in SERVICES[other], name

    def test_every_variable_has_a_default_or_is_written_by_make_secrets(self, made):
        written = set(re.findall(r"^(\w+)=", (made / ".env").read_text(), re.MULTILINE))
        variables = re.findall(r"(?<!\$)\$\{(\w+)(:-[^}]*)?", TEXT)
        assert variables
        assert {name for name, default in variables if not default} == written

    @pytest.mark.parametrize("name", ["head", "worker"])
    def test_ray_starts_with_flags_that_it_knows(self, name):
        command = SERVICES[name]["command"]
        words = command[-1].split("exec ")[-1].split() if command[0] == "/bin/sh" else command
        arguments = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in words]
        assert arguments[:2] == ["ray", "start"]
        settings = ray_start.make_context("start", arguments[2:]).params
        assert settings["block"] is True
        assert settings["num_cpus"] == (0 if name == "head" else 1)
        assert (settings["address"] == "head:6379") is (name == "worker")


class TestSecrets:
    def test_every_secret_of_the_file_is_made_for_its_owner_alone(self, made):
        assert stat.S_IMODE((made / "secrets").stat().st_mode) == 0o700
        for secret in FILE["secrets"].values():
            assert stat.S_IMODE((made / secret["file"]).stat().st_mode) == 0o600
        assert {f"secrets/{path.name}" for path in (made / "secrets").iterdir()} == {
            secret["file"] for secret in FILE["secrets"].values()
        }
        for name, service in SERVICES.items():
            assert set(service.get("secrets", [])) <= set(FILE["secrets"]), name
            inside = set(re.findall(r"/run/secrets/(\w+)", yaml.safe_dump(service)))
            assert inside == set(service.get("secrets", [])), name

    def test_the_two_sides_of_each_secret_agree(self, made):
        def secret(name: str) -> str:
            return (made / "secrets" / name).read_text()

        assert secret("pgpass") == f"*:*:*:*:{secret('postgresql_password')}\n"
        users = configparser.ConfigParser()
        users.read_string(secret("mlflow_auth"))
        assert users["mlflow"]["admin_password"] == secret("mlflow_password")
        keys = configparser.ConfigParser()
        keys.read_string(secret("aws_credentials"))
        (identity,) = json.loads(secret("s3_identities"))["identities"]
        assert identity["credentials"] == [
            {
                "accessKey": keys["default"]["aws_access_key_id"],
                "secretKey": keys["default"]["aws_secret_access_key"],
            }
        ]
        assert len(secret("ray_token")) == len(secret("flask_key")) == 64

    def test_a_second_call_changes_nothing(self, made):
        before = {path: path.read_bytes() for path in (made / "secrets").iterdir()}
        done = subprocess.run([made / "make-secrets"], check=True, capture_output=True, text=True)
        assert "there already" in done.stdout
        assert before == {path: path.read_bytes() for path in (made / "secrets").iterdir()}

    def test_none_of_it_is_for_git_or_for_a_job(self):
        for path in ("secrets/ray_token", "data/s3/x", ".env"):
            ignored = subprocess.run(["git", "check-ignore", "-q", f"cluster/compose/{path}"], cwd=REPOSITORY)
            assert ignored.returncode == 0, path


def test_the_bucket_is_made_as_soon_as_the_server_answers(tmp_path):
    with s3_server(tmp_path) as server:
        done = subprocess.run(
            [sys.executable, COMPOSE / "make_bucket.py", "lab"],
            env={**os.environ, **s3_environment(server)}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        endpoint = {"scheme": "http", "endpoint_override": f"127.0.0.1:{server.port}", "region": "us-east-1"}
        found = fs.S3FileSystem(access_key="key", secret_key="open-sesame", **endpoint).get_file_info("lab")
        assert found.type == fs.FileType.Directory


def s3_environment(server: S3Server) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "open-sesame",
        "AWS_REGION": "us-east-1",
    }


@pytest.mark.slow
def test_mlflow_as_it_is_started_asks_for_a_password_and_answers_to_its_own_names(made, tmp_path):
    programs = postgresql_programs()
    assert programs is not None, "PostgreSQL is not here and cannot be fetched: apt-get install postgresql"
    service, port = SERVICES["mlflow"], free_port()
    with PostgresqlServer(programs) as database, s3_server(tmp_path) as s3:
        user, _, place = database.uri.partition("://")[2].partition("@")
        secrets = tmp_path / "secrets"
        shutil.copytree(made / "secrets", secrets)
        (secrets / "pgpass").write_text(f"*:*:*:*:{user.partition(':')[2]}\n")

        def here(text: str) -> str:
            """The same with the places of this test."""
            replaced = {"postgresql/mlflow": place, "/run/secrets": str(secrets), "$$": "$", "0.0.0.0": "127.0.0.1"}
            for name, value in {**replaced, "--port=5000": f"--port={port}", "--workers=2": "--workers=1"}.items():
                text = text.replace(name, value)
            return re.sub(r"\$\{MLFLOW_PORT:-5000\}", str(port), text)

        (secrets / "mlflow_auth").write_text(here((secrets / "mlflow_auth").read_text()))
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "AWS", "PG"))}
        environment = {name: here(value) for name, value in service["environment"].items()}
        environment |= {**s3_environment(s3), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        with (tmp_path / "log").open("w") as log:
            command = [here(word) for word in service["command"]]
            server = subprocess.Popen(
                command, cwd=tmp_path, env={**outside, **environment}, stdout=log, stderr=log, start_new_session=True
            )
            try:
                address = f"http://127.0.0.1:{port}"
                while answer(f"{address}/health") != 200:
                    assert server.poll() is None, (tmp_path / "log").read_text()
                    time.sleep(0.2)
                question = f"{address}/api/2.0/mlflow/experiments/search?max_results=1"
                password = (secrets / "mlflow_password").read_text()
                assert answer(question) == 401
                assert answer(question, "admin", "guessed") == 401
                assert answer(question, "admin", password) == 200
                assert {finding.level for finding in check_server(address)} == {Level.OK}
            finally:
                os.killpg(server.pid, 9)
                server.wait()


def answer(url: str, user: str = "", password: str = "") -> int:
    """The status of an answer; 0 where there is none."""
    keys = b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {keys}"} if user else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as found:
            return found.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
