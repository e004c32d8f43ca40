"""Ray's token is there before Ray is, nobody else can read it, and a cluster that asks for another says so."""

from __future__ import annotations

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scmmlab.execution.ray.token import find_token, provide_token, token_file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    before = os.umask(0)  # whoever makes files for everybody
    yield tmp_path / "home"
    os.umask(before)


def test_a_token_is_made_once_for_its_owner_alone(home):
    assert not find_token(os.environ)
    provide_token()
    file = home / ".ray" / "auth_token"
    token = file.read_text()
    assert re.fullmatch("[0-9a-f]{64}", token)
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)
    assert os.listdir(file.parent) == ["auth_token"]
    provide_token()
    assert file.read_text() == token
    assert "RAY_AUTH_TOKEN" not in os.environ


def test_modes_that_let_others_read_are_mended(home):
    provide_token()
    file = home / ".ray" / "auth_token"
    file.chmod(0o644)
    file.parent.chmod(0o755)
    provide_token()
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)


def test_a_file_that_the_user_names_is_the_one_and_its_folder_is_left_alone(home, tmp_path, monkeypatch):
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(folder / "token"))
    provide_token()
    assert token_file(os.environ) == folder / "token"
    assert (mode(folder / "token"), mode(folder)) == (0o600, 0o755)
    assert os.listdir(home) == []


def test_a_token_in_the_environment_is_enough(home, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "mine")
    provide_token()
    assert os.listdir(home) == []
    assert os.environ["RAY_AUTH_TOKEN"] == "mine"


def test_an_empty_file_is_none_and_is_replaced(home):
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text("\n")
    provide_token()
    assert find_token(os.environ)
    assert mode(home / ".ray" / "auth_token") == 0o600


def test_where_no_file_can_be_written_the_token_is_in_the_environment_alone(home, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "")
    (home / ".ray").write_text("no folder")
    provide_token()
    assert re.fullmatch("[0-9a-f]{64}", os.environ["RAY_AUTH_TOKEN"])


def test_programs_that_make_one_at_the_same_time_agree(home):
    with ThreadPoolExecutor(16) as pool:
        for _ in range(20):
            list(pool.map(lambda _: provide_token(), range(16)))
            assert os.listdir(home / ".ray") == ["auth_token"]
            assert re.fullmatch("[0-9a-f]{64}", (home / ".ray" / "auth_token").read_text())
            (home / ".ray" / "auth_token").unlink()
    assert "RAY_AUTH_TOKEN" not in os.environ
