"""Loopback addresses, which HTTP clients reach without a proxy."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Its names, as they stand in a URL (without the brackets of the last)."""

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_EXCEPT = ("no_proxy", "NO_PROXY")


def reach_loopback_directly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have every HTTP client of this program and its children reach this machine without a proxy.

    If variables name a proxy, the loopback names are added to the variables for exceptions. urllib, requests (used by
    the clients of MLflow and Ray) and curl respect them.
    """
    if not any(environment.get(name) or environment.get(name.upper()) for name in _PROXIES):
        return
    given = next((environment[name] for name in _EXCEPT if environment.get(name)), "")
    named = [name.strip() for name in given.split(",") if name.strip()]
    if "*" in named:
        return
    # urllib has the brackets of an address, requests has not
    missing = [name for name in (*LOOPBACK, "[::1]") if name not in named]
    for name in _EXCEPT:
        environment[name] = ",".join([*named, *missing])
