"""Whether an MLflow server rejects requests from strangers."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

from scmmlab.config.loopback import LOOPBACK, reach_loopback_directly
from scmmlab.doctor.check_result import CheckResult, bad, ok, warn
from scmmlab.doctor.known_vulnerabilities import FLOORS, older

_STRANGER = "doctor.invalid"
"""A host name that nobody has: what a page elsewhere sends that has its own name point at the server."""
_QUESTION = "/api/2.0/mlflow/experiments/search?max_results=1"
_TIMEOUT_S = 10


def check_server(uri: str) -> Iterator[CheckResult]:
    """Findings on the server at `uri`: its allowed hosts, its version, and whether it authenticates users.

    Parameters
    ----------
    uri : str
        `http://…` or `https://…`.
    """
    reach_loopback_directly()
    parts = urlsplit(uri)
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    check = f"MLflow at {address}"
    status, _ = _ask(address + _QUESTION)
    if status is None:
        yield warn(check, "it does not answer", "start it; 'scmmlab mlflow sync' writes what runs could not")
        return
    refused, _ = _ask(address + _QUESTION, host=_STRANGER)
    if refused == 403:
        yield ok(f"{check}, hosts", "it accepts its own host names only")
    else:
        fix = f"mlflow server --allowed-hosts '{parts.netloc.rpartition('@')[2]}'"
        yield bad(f"{check}, hosts", "it accepts any host name: a web page can read and change results", fix)
    near = parts.hostname in LOOPBACK
    if status == 200 and not near:
        fix = "mlflow server --app-name basic-auth, or an authenticating proxy"
        yield warn(f"{check}, users", "it does not ask for a password", fix)
    elif parts.scheme == "http" and not near:
        yield warn(f"{check}, users", "passwords are sent unencrypted", "serve it over https")
    answered, version = _ask(f"{address}/version")
    version = version.strip().strip('"')
    floor, known = FLOORS["mlflow"]
    if answered == 200 and older(version, floor):
        yield bad(f"{check}, version", f"{version} is older than {floor} ({known})", f"install mlflow>={floor} there")


def _ask(url: str, host: str | None = None) -> tuple[int | None, str]:
    """Status and text of an answer; None where there is none."""
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            return answer.status, answer.read(10_000).decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, ""
    except (OSError, ValueError):
        return None, ""
