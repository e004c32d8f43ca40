"""What is checked before Ray is imported: that it is installed, and that RAY_ADDRESS can be joined."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec

from scmmlab.errors import SpecError

KEYWORDS = ("auto", "local")
"""Addresses of Ray's besides HOST:PORT."""


def check_ray(environment: Mapping[str, str]) -> None:
    """Refuse to use Ray where that must fail.

    Parameters
    ----------
    environment : mapping
        Environment variables.

    Raises
    ------
    SpecError
        Where Ray is not installed, or RAY_ADDRESS is not the address of a head.
    """
    if find_spec("ray") is None:
        raise SpecError(
            "--engine ray needs the package 'ray', which this Python does not have.",
            hint="install it (pip install 'ray[data,default,train,tune]>=2.60'), or run without it: --engine local",
        )
    address = environment.get("RAY_ADDRESS") or ""
    if not address or address in KEYWORDS or _is_head(address):
        return
    dashboard = address.startswith(("http://", "https://"))
    raise SpecError(
        f"RAY_ADDRESS must be HOST:PORT of the Ray head to join, such as 127.0.0.1:6379, got {address!r}"
        f"{', which is the address of a dashboard' if dashboard else ''}.",
        hint="scmmlab submit --address takes a dashboard's address and runs the study on that cluster"
        if dashboard
        else "'ray start --head' prints it; unset RAY_ADDRESS to run on this machine only",
    )


def _is_head(address: str) -> bool:
    # a client's address (ray://) is checked by Ray itself
    host, _, port = address.removeprefix("ray://").rpartition(":")
    return re.fullmatch(r"[^\s:/]+|\[[0-9a-fA-F:.]+\]", host) is not None and port.isdecimal() and 0 < int(port) < 65536
