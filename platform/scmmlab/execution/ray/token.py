"""The token that Ray requires: whoever has it can run code on the cluster, so only its owner may read the file."""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
"""Ray's environment variables: whether a token is required (`token`), the token itself, the file that holds it."""


def asks_for_token(environment: Mapping[str, str]) -> bool:
    """Whether Ray is set to require a token."""
    return environment.get(MODE, "").lower() == "token"


def token_file(environment: Mapping[str, str]) -> Path:
    """Where Ray looks for the token."""
    named = environment.get(TOKEN_PATH)
    return Path(named) if named else Path(environment.get("HOME") or Path.home()) / ".ray" / "auth_token"


def find_token(environment: Mapping[str, str]) -> str | None:
    """The token that Ray will find: `RAY_AUTH_TOKEN`, else the first line of the file; None where there is none."""
    if environment.get(TOKEN):
        return environment[TOKEN].strip() or None
    try:
        with token_file(environment).open(encoding="utf-8", errors="replace") as lines:
            return lines.readline().strip() or None
    except OSError:
        return None


def provide_token() -> None:
    """Make sure that there is a token for a Ray of our own, and that nobody else can read it.

    Ray would make one too, but readable by every user of the machine until somebody changes its mode. Where no file can
    be written, the token is in the environment of this program and those that it starts, and nowhere else.
    """
    os.environ.setdefault("HOME", str(Path.home()))  # Ray looks only there
    if not find_token(os.environ):
        token = secrets.token_hex(32)
        with suppress(OSError):
            _write(token_file(os.environ), token)
        if not find_token(os.environ):
            os.environ[TOKEN] = token
    close_token_file()


def close_token_file() -> None:
    """Make the token's file, and `~/.ray`, unreadable for others, as far as they are ours."""
    file = token_file(os.environ)
    with suppress(OSError):
        if file.stat().st_mode & 0o077:
            file.chmod(0o600)
    if not os.environ.get(TOKEN_PATH):  # another folder may have other uses
        with suppress(OSError):
            if file.parent.stat().st_mode & 0o077:
                file.parent.chmod(0o700)


def _write(file: Path, token: str) -> None:
    """Write it atomically and never readable by others; of two programs that do so, the first wins."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(OSError):
        if not file.read_text(encoding="utf-8", errors="replace").strip():
            file.unlink()
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(token)
        with suppress(FileExistsError):
            os.link(temporary, file)
    finally:
        temporary.unlink()
