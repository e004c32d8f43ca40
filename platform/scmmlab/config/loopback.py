"""The names of this machine for itself, at which programs reach it without the proxy that is there for the web."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Its names, as they stand in a URL (without the brackets of the last)."""

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_EXCEPT = ("no_proxy", "NO_PROXY")


def reach_loopback_directly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have every HTTP client of this program, and of those that it starts, ask this machine without a proxy.

    Where variables name a proxy, those that make exceptions get this machine's names. urllib, requests (which MLflow's
    client and Ray's use) and curl go by them.
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
