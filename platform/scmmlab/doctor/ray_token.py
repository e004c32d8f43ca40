"""Whether Ray asks for a token, and whether only its owner can read the token."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from scmmlab.doctor.check_result import CheckResult, bad, ok, warn
from scmmlab.execution.ray.token import MODE, TOKEN, asks_for_token, token_file

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check_token(environment: Mapping[str, str]) -> Iterator[CheckResult]:
    """Findings on token authentication and on the file of the token."""
    yield _mode(environment)
    if environment.get(TOKEN):
        yield warn(
            "Ray's token",
            "it is in RAY_AUTH_TOKEN, which every program started from here inherits",
            "put it in ~/.ray/auth_token (mode 0600) and unset RAY_AUTH_TOKEN",
        )
    yield from _file(token_file(environment))


def _mode(environment: Mapping[str, str]) -> CheckResult:
    check, mode = "Ray's authentication", environment.get(MODE)
    if not mode:
        return warn(
            check,
            f"{MODE} is not set: Ray asks for a token when started by a run, but may not when started by 'ray start'",
            f"export {MODE}=token, on every machine of a cluster",
        )
    if not asks_for_token(environment):
        return bad(
            check, f"{MODE}={mode}: anybody who can reach a port of Ray can run code as you", f"export {MODE}=token"
        )
    return ok(check, f"{MODE}=token")


def _file(token: Path) -> Iterator[CheckResult]:
    check = "Ray's token file"
    try:
        state, folder = token.stat(), token.parent.stat()
    except FileNotFoundError:
        yield ok(check, f"there is none at {token}; a run makes one")
        return
    except OSError as error:
        yield bad(check, f"{token} cannot be checked ({error.strerror})", f"check the permissions of {token.parent}")
        return
    if state.st_uid != os.getuid():
        yield bad(check, f"{token} belongs to another user", f"rm {token}, and let Ray make one")
    elif state.st_mode & _OTHERS:
        found = f"{token} has mode {state.st_mode & 0o777:04o}: others can use your cluster"
        yield bad(check, found, f"chmod 600 {token}")
    else:
        yield ok(check, f"{token} has mode {state.st_mode & 0o777:04o}")
    if folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        found = f"{token.parent} has mode {folder.st_mode & 0o777:04o}: others can put their own token there"
        yield bad("folder of Ray's token", found, f"chmod 700 {token.parent}")
    elif folder.st_mode & _OTHERS:
        found = f"{token.parent} has mode {folder.st_mode & 0o777:04o}, expected 0700"
        yield warn("folder of Ray's token", found, f"chmod 700 {token.parent}")
    else:
        yield ok("folder of Ray's token", f"{token.parent} has mode {folder.st_mode & 0o777:04o}")
