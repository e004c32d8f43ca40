"""Whether Ray or MLflow can be reached from other machines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from scmmlab.doctor.check_result import CheckResult, bad, ok, warn
from scmmlab.doctor.sockets import Listener

KNOWN_PORTS = {6379: "Ray", 8265: "Ray's dashboard", 10001: "Ray", 52365: "Ray", 5000: "MLflow"}
"""What listens there where nobody chose another port; told by the port where the program is not known."""

_SHOWN = 5
"""So many addresses are named."""

METRICS_PORT = 44227
"""Where the dashboard's program tells its own figures, on every address; the page itself is elsewhere."""

_PROGRAMS = (
    (re.compile(r"/ray/dashboard/dashboard\.py|ray-dashboard"), "Ray's dashboard"),
    (re.compile(r"\bmlflow\b"), "MLflow"),
    (re.compile(r"\braylet\b|\bgcs_server\b|\bray::|/ray/(dashboard|_private|core|util)/|\bray start\b"), "Ray"),
)


def check_ports(found: Iterable[Listener], token: bool) -> Iterator[CheckResult]:
    """Findings on the dashboard, on other ports of Ray, and on MLflow's.

    Parameters
    ----------
    found : iterable of Listener
        What listens on this machine.
    token : bool
        Whether a Ray asks for a token of which this cannot be seen.
    """
    places: dict[str, list[Listener]] = {"Ray's dashboard": [], "Ray": [], "MLflow": []}
    for listener in found:
        owner = owner_of(listener)
        if owner:
            places[owner].append(listener)
    for owner, all_of_it in places.items():
        check = f"{owner}'s ports" if owner != "Ray's dashboard" else owner
        exposed = [listener for listener in all_of_it if not listener.on_loopback]
        shown = ", ".join(listener.place for listener in exposed[:_SHOWN])
        shown += f" and {len(exposed) - _SHOWN} more" if len(exposed) > _SHOWN else ""
        modes = [listener.ray_auth_mode for listener in exposed if listener.ray_auth_mode is not None]
        guarded = all(mode.lower() == "token" for mode in modes) if modes else token
        if not all_of_it:
            yield ok(check, "none is open")
        elif not exposed:
            yield ok(check, "on loopback: " + ", ".join(listener.place for listener in all_of_it))
        elif owner == "MLflow":
            fix = "mlflow server --host 127.0.0.1 --allowed-hosts …, behind an authenticating proxy"
            yield bad(check, f"other machines can reach {shown}, and read and change results", fix)
        elif owner == "Ray's dashboard":
            fix = "ray start --head --dashboard-host=127.0.0.1"
            if guarded:  # in a container there is no other way to publish it
                fix += ", or restrict it to those who submit jobs, by network policy or firewall"
                yield warn(check, f"other machines can reach {shown}, but need the token", fix)
            else:
                yield bad(check, f"other machines can reach {shown}, and run code as you", fix)
        elif guarded:
            fix = "restrict them to the cluster's machines by a firewall"
            yield warn(check, f"other machines can reach {shown}, but need the token", fix)
        else:
            fix = "restart Ray with RAY_AUTH_MODE=token, and close them by a firewall"
            yield bad(check, f"other machines can reach {shown}, and run code as you", fix)


def owner_of(listener: Listener) -> str | None:
    """`Ray`, `Ray's dashboard` or `MLflow`, where it is one of these."""
    for pattern, owner in _PROGRAMS:
        if listener.command and pattern.search(listener.command):
            return "Ray" if listener.port == METRICS_PORT else owner
    return KNOWN_PORTS.get(listener.port)
