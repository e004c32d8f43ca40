"""What is refused before Ray is imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from scmmlab.errors import SpecError
from scmmlab.execution.ray.requirements import check_ray

STUDY = ("run", "ablations/demo.yaml", "--tracking-uri", "none", "--store")


@pytest.mark.parametrize(
    "address", ["", "auto", "local", "10.0.0.7:6379", "head:6379", "[::1]:6379", "ray://head:10001"]
)
def test_addresses_that_ray_may_be_able_to_join_are_left_to_it(address):
    check_ray({"RAY_ADDRESS": address})


@pytest.mark.parametrize("address", ["http://head:8265", "https://ray.example.org"])
def test_address_of_a_dashboard_is_refused_with_what_takes_it(address):
    with pytest.raises(SpecError) as caught:
        check_ray({"RAY_ADDRESS": address})
    assert caught.value.message == (
        "RAY_ADDRESS must be HOST:PORT of the Ray head to join, such as 127.0.0.1:6379, "
        f"got '{address}', which is the address of a dashboard."
    )
    assert "scmmlab submit --address" in caught.value.hint


@pytest.mark.parametrize(
    "address", ["head", "head:", ":6379", "head:port", "head:70000", "tcp://head:6379", "a head:1"]
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(SpecError, match=r"RAY_ADDRESS must be HOST:PORT .*, got ") as caught:
        check_ray({"RAY_ADDRESS": address})
    assert "unset RAY_ADDRESS" in caught.value.hint


@pytest.mark.parametrize(
    ("before", "environment", "said"),
    [
        ("sys.modules['ray'] = None", {}, "--engine ray needs the package 'ray', which this Python does not have."),
        ("pass", {"RAY_ADDRESS": "http://head:8265"}, "which is the address of a dashboard."),
    ],
)
def test_command_ends_in_one_sentence_before_anything_is_written(tmp_path, before, environment, said):
    text = f"import sys; {before}; from scmmlab.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", text, *STUDY, str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 2, done.stderr
    sentence, hint = done.stderr.splitlines()
    assert sentence.startswith("scmmlab: ")
    assert sentence.endswith(said)
    assert hint.startswith("Hint: ")
    assert not (tmp_path / "runs").exists()
