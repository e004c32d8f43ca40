"""`scmmlab doctor` prints a line a check and ends with status 1 where anything is bad."""

from __future__ import annotations

import socket

import pytest


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    (folder / ".ray").mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return folder


def test_a_machine_made_bad_on_purpose_is_told_line_by_line(scmmlab, home, study, tmp_path) -> None:
    token = home / ".ray" / "auth_token"
    token.write_text("secret")
    token.chmod(0o600)
    done = scmmlab("doctor", study, "--store", tmp_path / "runs")
    lines = done.out.splitlines()
    assert all(line.split()[0] in ("ok", "warn", "bad") for line in lines[:-1])
    assert any(line.startswith("ok    cores") for line in lines)
    assert f"ok    Ray's token file: {token} has mode 0600" in lines
    assert done.status == int(any(line.startswith("bad") for line in lines))
    assert not (tmp_path / "runs").exists(), "a doctor changes nothing"

    token.chmod(0o644)
    done = scmmlab("doctor", study, "--store", tmp_path / "runs", "--set", "resources.workers=4000")
    assert done.status == 1
    (of_token,) = (line for line in done.out.splitlines() if "token file" in line)
    assert of_token.startswith("bad")
    assert of_token.endswith(f"Fix: chmod 600 {token}")
    (of_cores,) = (line for line in done.out.splitlines() if " cores: " in line)
    assert "4000 CPU needed" in of_cores


def test_a_port_of_mlflow_that_is_open_to_all_is_bad(scmmlab, home, tmp_path, monkeypatch) -> None:
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))
        server.listen()
        port = server.getsockname()[1]
        monkeypatch.setattr("scmmlab.doctor.open_ports.KNOWN_PORTS", {port: "MLflow"})
        done = scmmlab("doctor", "--store", tmp_path / "runs")
    assert done.status == 1
    assert f"bad   MLflow's ports: other machines can reach 0.0.0.0:{port}" in done.out
