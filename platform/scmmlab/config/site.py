"""What a site has, described once: storage, Ray, workers, partitions, images.

None of it affects a result, so none of it enters a cell's key.
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from scmmlab.config.base import Spec
from scmmlab.config.study import WorkerRange, Workers


def _variable(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(f"must be the name of an environment variable, got {name!r}")
    return name


def _durable(uri: str) -> str:
    if "://" not in uri and not uri.startswith(("/", "~")):
        raise ValueError(f"must be an absolute folder or a URI such as s3://bucket/runs, got {uri!r}")
    return uri


def web_address(uri: str) -> str:
    """`uri` without a trailing slash, if it can be a dashboard's; otherwise a ValueError says why."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", uri):
        raise ValueError(f"must be http://HOST:PORT or https://HOST of Ray's dashboard, got {uri!r}")
    if parts.password is not None:
        raise ValueError("must not contain a password (Ray uses a token), got one")
    return uri.rstrip("/")


def _joinable(address: str) -> str:
    if address.startswith(("http://", "https://")):
        raise ValueError(f"must be HOST:PORT of Ray's head (the dashboard's is 'ray.address'), got {address!r}")
    return address


class RaySite(Spec):
    """Ray at this site."""

    address: Annotated[str, AfterValidator(web_address)] | None = None
    """URL of Ray's dashboard, which `submit`, `stop` and `logs` use: `http://127.0.0.1:8265`."""
    cluster: Annotated[str, AfterValidator(_joinable)] | None = None
    """Address of Ray's head, `HOST:6379`, which `run` joins on a machine of the cluster; when absent, it starts Ray."""
    program: str = Field("scmmlab", min_length=1)
    """The command that runs scmmlab on the head; the full path if it is not in the PATH that Ray was started with."""
    stop_wait_s: int = Field(20, ge=1)
    """Seconds that a stopped job has to finish writing before it is killed."""
    environment: tuple[Annotated[str, AfterValidator(_variable)], ...] = ()
    """Names of environment variables that `submit` passes to jobs, with their values here."""
    ca_file: str | None = None
    """CA certificates for the dashboard's https; the system's when absent."""


class SiteResources(Spec):
    """What a study may use here; overrides the study's own resources."""

    workers: Workers | WorkerRange | None = None
    """Training workers, a number or `{min, max}`; the study's own when absent."""
    gpus_per_worker: float | None = Field(None, ge=0)
    """GPUs of a worker; the study's own when absent."""
    cpus_per_worker: float | None = Field(None, gt=0)
    """CPUs of a worker; the study's own when absent."""
    pack_size: int | None = Field(None, ge=1)
    """The most replicas that a worker trains together; the study's own when absent."""


class PartitionSpec(Spec):
    """A partition of a batch system, and what a study requests from it."""

    name: str = Field(pattern=r"^\S+$")
    """Its name in the batch system."""
    nodes: int = Field(1, ge=1)
    """Machines."""
    cpus: int | None = Field(None, ge=1)
    """CPUs of a machine; the batch system's default when absent."""
    gpus: int = Field(0, ge=0)
    """GPUs of a machine."""
    memory_gib: int | None = Field(None, ge=1)
    """Memory of a machine, GiB; the batch system's default when absent."""
    minutes: int | None = Field(None, ge=1)
    """Time limit, minutes; the partition's own when absent."""
    account: str | None = Field(None, pattern=r"^\S+$")
    """The account to charge; the user's default when absent."""

    def sbatch_options(self) -> tuple[str, ...]:
        """The same as options of Slurm's ``sbatch``."""
        options = {
            "partition": self.name,
            "nodes": self.nodes,
            "ntasks-per-node": 1,
            "cpus-per-task": self.cpus,
            "gpus-per-node": self.gpus or None,
            "mem": self.memory_gib and f"{self.memory_gib}G",
            "time": self.minutes,
            "account": self.account,
        }
        return tuple(f"--{name}={value}" for name, value in options.items() if value is not None)


class SiteSpec(Spec):
    """A site. Every setting is optional."""

    store: Annotated[str, AfterValidator(_durable)] | None = None
    """Where results are stored: an absolute folder that all drivers can reach, `s3://…`, `gs://…`."""
    tracking_uri: str | None = None
    """MLflow's tracking URI: a server, a database, or `none`; SQLite in the study's folder when absent."""
    ray: RaySite = RaySite()
    """Ray at this site."""
    resources: SiteResources = SiteResources()
    """What a study may use here."""
    partitions: dict[Annotated[str, Field(pattern=r"^[a-z0-9_\-]+$")], PartitionSpec] = Field(default_factory=dict)
    """Partitions of the batch system, by the names used at this site."""
    images: dict[Annotated[str, Field(pattern=r"^[a-z0-9_\-]+$")], Annotated[str, Field(pattern=r"^\S+$")]] = Field(
        default_factory=dict
    )
    """Container images, by the names used at this site: `cpu`, `cuda`."""


def site_schema() -> dict[str, Any]:
    """The JSON schema of site files."""
    return SiteSpec.model_json_schema()
