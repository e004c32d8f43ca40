"""A Ray of our own asks for a token that nobody else can read; a cluster that asks for another token is not joined."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from scmmlab.execution.ray import session as ray_session

pytestmark = pytest.mark.slow

OUTSIDE = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}

OWNER = """
import json, os, sys
import ray
from scmmlab.execution.ray.session import ray_session
with ray_session(num_cpus=1, object_store_memory=80 * 2**20):
    @ray.remote(num_cpus=0)
    def mode():
        return os.environ.get("RAY_AUTH_MODE")
    said = {"address": ray.get_runtime_context().gcs_address, "mode of workers": ray.get(mode.remote())}
    print(json.dumps(said), flush=True)
    sys.stdin.readline()
"""

JOINER = """
import sys
import ray
from scmmlab.errors import ResourceError
from scmmlab.execution.ray.session import ray_session
@ray.remote(num_cpus=0)
def three():
    return 3
try:
    with ray_session():
        print("joined", ray.get(three.remote()))
except ResourceError as error:
    print(error)
    sys.exit(2)
"""

STUDY = """
kind: ablation
name: small
base: {pretrain: {epochs: 1, batch_size: 32}, protocol: {kind: loso}}
variants: {full: {}}
transfers:
  - {name: t, source: {table: "shipped:eegmat", subjects: 0-1}, target: {table: "shipped:eegmat", subjects: 2-4}}
seeds: [0]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def own(home) -> Iterator[dict[str, str]]:
    """What a program says of the Ray that it started, for as long as it runs."""
    command, environment = [sys.executable, "-c", OWNER], OUTSIDE | {"HOME": str(home)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
            process.communicate("\n", timeout=60)
        finally:
            process.kill()


def join(own, home, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(JOINER, home, **{"RAY_ADDRESS": own["address"], **environment})


def run(program: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env=OUTSIDE | {"HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_a_ray_of_our_own_asks_for_a_token_that_nobody_else_can_read(own, home) -> None:
    assert own["mode of workers"] == "token"
    assert (home / ".ray" / "auth_token").stat().st_mode & 0o777 == 0o600
    assert (home / ".ray").stat().st_mode & 0o777 == 0o700
    done = join(own, home)
    assert done.stdout == "joined 3\n", done.stderr


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"RAY_AUTH_TOKEN": "0" * 64}, "it requires a token, and the one in RAY_AUTH_TOKEN is another."),
        ({}, "it requires a token, and there is none in {home}/.ray/auth_token."),
        ({"RAY_AUTH_TOKEN": "right", "RAY_AUTH_MODE": "disabled"}, "but RAY_AUTH_MODE is 'disabled'."),
        ({"RAY_AUTH_TOKEN_PATH": "/nowhere/token"}, "there is none in /nowhere/token."),
    ],
)
def test_a_cluster_that_asks_for_another_token_is_not_joined(own, home, tmp_path, environment, said) -> None:
    right = (home / ".ray" / "auth_token").read_text()
    done = join(own, tmp_path, **{name: value.replace("right", right) for name, value in environment.items()})
    assert done.returncode == 2, done.stderr
    assert done.stdout.startswith(f"Cannot join the Ray cluster at RAY_ADDRESS={own['address']!r}: ")
    assert said.format(home=tmp_path) in done.stdout
    assert "InvalidAuthToken" not in done.stderr, "Ray was not let loose on it"
    assert right not in done.stdout + done.stderr


def test_a_head_that_does_not_answer_is_not_waited_for(home) -> None:
    """Nobody there, and somebody who takes the connection and says nothing. Ray alone would take 13 minutes."""
    with socket.socket() as nobody, socket.socket() as silent, ThreadPoolExecutor() as both:
        for head in (nobody, silent):
            head.bind(("127.0.0.1", 0))
        silent.listen()
        addresses = [f"127.0.0.1:{head.getsockname()[1]}" for head in (nobody, silent)]
        for done in both.map(lambda address: join({"address": address}, home), addresses):
            assert done.returncode == 2, done.stderr
            assert "Cannot join the Ray cluster at RAY_ADDRESS='127.0.0.1:" in done.stdout
            assert "nothing has answered there for 20 s." in done.stdout


def test_a_head_that_goes_while_it_is_joined_is_not_waited_for(home) -> None:
    lost = JOINER.replace("try:\n", "import scmmlab.execution.ray.session as s\ns._agree_on_token = print\ntry:\n", 1)
    with socket.socket() as head:
        head.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{head.getsockname()[1]}"
        done = run(lost, home, RAY_ADDRESS=address, RAY_py_gcs_connect_timeout_s="1")
    assert done.returncode == 2, done.stderr
    assert "Cannot join the Ray cluster at RAY_ADDRESS='127.0.0.1:" in done.stdout


def test_a_head_that_still_starts_is_waited_for() -> None:
    def answer(request, context):
        return b""

    method = grpc.unary_unary_rpc_method_handler(answer)
    service = grpc.method_handlers_generic_handler("ray.rpc.NodeInfoGcsService", {"GetClusterId": method})
    server = grpc.server(ThreadPoolExecutor(1), [service])
    with socket.socket() as head:
        head.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{head.getsockname()[1]}"
    with ThreadPoolExecutor(1) as pool:
        accepts = pool.submit(ray_session._accepts, address, None)
        with pytest.raises(TimeoutError):
            accepts.result(1.0)
        assert server.add_insecure_port(address)
        server.start()
        assert accepts.result(ray_session.ANSWER_S) is True
        server.stop(None)


def test_the_command_line_says_so_and_ends_with_status_2(own, tmp_path) -> None:
    (tmp_path / "small.yaml").write_text(STUDY)
    done = subprocess.run(
        [sys.executable, "-m", "scmmlab.cli.main", "run", "small.yaml", "--tracking-uri", "none"],
        env=OUTSIDE | {"HOME": str(tmp_path), "RAY_ADDRESS": own["address"], "RAY_AUTH_TOKEN": "0" * 64},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 2, done.stderr
    assert "scmmlab: Cannot join the Ray cluster at RAY_ADDRESS=" in done.stderr
    assert "Hint: set RAY_AUTH_MODE=token on both sides" in done.stderr
    assert "Traceback" not in done.stderr
