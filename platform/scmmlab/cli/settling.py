"""What a command line leaves open is settled: by the environment, by the site's file, by defaults."""

from __future__ import annotations

import argparse
import os


def settle(arguments: argparse.Namespace) -> None:
    """Give what the command line left open the values of the environment and of the site's file.

    Sets `in_force`, the `Site`, and where the command has such options: `store`, `tracking_uri`, `address`; what the
    site says of resources goes in front of `set`. A command that may run on a cluster finds it in RAY_ADDRESS.
    One that starts Ray on this machine is told here, before anything else, that it cannot. A server on
    this machine is from here on asked without a proxy.

    Raises
    ------
    SpecError
        If the site's file or a variable is wrong.
    ResourceError
        If the command starts a Ray of its own, and there is no folder for it.
    """
    if not hasattr(arguments, "site"):
        return
    from scmmlab.config.in_force import DEFAULT_STORE, load_site
    from scmmlab.config.loopback import reach_loopback_directly

    reach_loopback_directly()

    arguments.in_force = site = load_site(arguments.site, os.environ)
    given = {"store": site.spec.store or DEFAULT_STORE, "tracking_uri": site.spec.tracking_uri}
    for name, value in {**given, "address": site.spec.ray.address}.items():
        if getattr(arguments, name, "") is None:
            setattr(arguments, name, value)
    if hasattr(arguments, "set"):
        arguments.set = [*site.overrides(), *arguments.set]
    if site.spec.ray.cluster and getattr(arguments, "joins_ray", False):
        os.environ.setdefault("RAY_ADDRESS", site.spec.ray.cluster)
    if getattr(arguments, "joins_ray", False) and getattr(arguments, "engine", None) == "ray":
        from scmmlab.execution.ray.session_folder import check_ray_folder

        check_ray_folder(os.environ)
