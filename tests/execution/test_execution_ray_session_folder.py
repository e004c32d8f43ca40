"""Where Ray cannot start on this machine, a sentence says why, and before anything is begun."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from scmmlab.doctor import Level
from scmmlab.doctor.disks import check_sockets
from scmmlab.errors import ResourceError
from scmmlab.execution.ray.session_folder import LONGEST_FOLDER, check_ray_folder


def folder_of(length: int) -> str:
    return "/tmp/" + "x" * (length - len("/tmp/"))


def test_the_longest_folder_leaves_room_for_a_socket_and_one_byte_more_does_not():
    ray_utils = pytest.importorskip("ray._private.utils")
    socket = "ray/session_2026-11-30_01-12-46_638287_4194304/sockets/plasma_store"
    ray_utils.validate_socket_filepath(f"{folder_of(LONGEST_FOLDER)}/{socket}")
    with pytest.raises(OSError, match="107 bytes"):
        ray_utils.validate_socket_filepath(f"{folder_of(LONGEST_FOLDER + 1)}/{socket}")


@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
def test_a_folder_whose_path_is_too_long_is_refused_and_found_by_the_doctor(variable):
    check_ray_folder({variable: folder_of(LONGEST_FOLDER)})
    long = {variable: folder_of(LONGEST_FOLDER + 1)}
    with pytest.raises(ResourceError, match=rf"with {variable}=.*has 40 bytes, and at most 39") as refused:
        check_ray_folder(long)
    assert "RAY_TMPDIR=/tmp" in (refused.value.hint or "")
    assert check_sockets(long).level is Level.BAD
    assert check_sockets({}).level is Level.OK
    assert check_sockets({**long, "RAY_ADDRESS": "head:6379"}).level is Level.OK
    # Ray looks at its own variable first; letters count as bytes
    assert check_sockets({**long, "RAY_TMPDIR": "/tmp"}).level is Level.OK
    assert check_sockets({"RAY_TMPDIR": "/tmp/" + "ä" * 20}).level is Level.BAD


def test_a_folder_that_cannot_be_written_is_refused():
    for folder, said in (("/etc/passwd", "not a folder that this user can write to"), ("tmp", "absolute path")):
        with pytest.raises(ResourceError, match=said):
            check_ray_folder({"RAY_TMPDIR": folder})


@pytest.mark.slow
def test_whatever_keeps_ray_from_starting_is_a_sentence():
    program = """
from scmmlab.errors import ResourceError
from scmmlab.execution.ray.session import ray_session
try:
    with ray_session(num_cpus=1):
        print("started")
except ResourceError as error:
    print(error)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    # Ray gives up on its own head before that has written where it is
    environment["RAY_gcs_server_port_wait_time_s"] = "0"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, encoding="utf-8", timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Ray failed to start on this machine: ")
    assert "--engine local" in done.stdout
    assert done.stdout.count("\n") == 1
