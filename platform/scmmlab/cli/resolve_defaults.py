"""Fill in the options that a command line leaves out: from the environment, the site file, or defaults."""

from __future__ import annotations

import argparse
import os


def resolve_defaults(arguments: argparse.Namespace) -> None:
    """Fill in the options that the command line leaves out.

    Sets `resolved_settings`, the `Site`, and where the command has such options: `store`, `tracking_uri`, `address`.
    The site's resources are put before `set`, so that `--set` overrides them. A command that may run on a cluster
    finds its address in RAY_ADDRESS. If a command starts Ray on this machine and cannot, it fails here, before
    anything else. From here on, servers on this machine are reached without a proxy.

    Raises
    ------
    SpecError
        If the site file or a variable is invalid.
    ResourceError
        If the command starts its own Ray and there is no folder for it.
    """
    if not hasattr(arguments, "site"):
        return
    from scmmlab.config.loopback import reach_loopback_directly
    from scmmlab.config.resolved_settings import DEFAULT_STORE, load_site

    reach_loopback_directly()

    arguments.resolved_settings = site = load_site(arguments.site, os.environ)
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
