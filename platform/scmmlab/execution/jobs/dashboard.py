"""What answers at the address of a Ray dashboard, and whether it requires a token: found out without sending one."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from scmmlab.config.loopback import LOOPBACK, reach_loopback_directly
from scmmlab.config.site import web_address
from scmmlab.errors import ResourceError, SpecError
from scmmlab.execution.ray.token import TOKEN, TOKEN_PATH, find_token, token_file

_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Dashboard:
    """A Ray dashboard that has answered."""

    address: str
    """`http://HOST:PORT`."""
    asks_for_token: bool
    """Whether it requires the cluster's token."""
    headers: Mapping[str, str] = field(repr=False)
    """Send it the token; empty where it requires none."""
    ca_file: str | None = None
    """Certificates to verify it with; the system's when None."""

    @property
    def open_to_all(self) -> bool:
        """Whether anyone who can reach it may run code there."""
        return not self.asks_for_token

    @property
    def overheard(self) -> bool:
        """Whether the token is sent to another machine unencrypted."""
        parts = urlsplit(self.address)
        return self.asks_for_token and parts.scheme == "http" and parts.hostname not in LOOPBACK


def find_dashboard(address: str | None, environment: Mapping[str, str], ca_file: str | None = None) -> Dashboard:
    """Look at what answers at `address`.

    Parameters
    ----------
    address : str | None
        `http://HOST:PORT` or `https://HOST`.
    environment : mapping
        Environment variables; they say where the token is.
    ca_file : str | None
        Certificates by which https is checked; the system's when None.

    Raises
    ------
    SpecError
        If there is no address, or it cannot be one.
    ResourceError
        If nothing answers, what answers is not a Ray dashboard, or it requires a token and there is none here.
    """
    if not address:
        raise SpecError(
            "No address of a Ray dashboard is given.",
            hint="--address http://HOST:8265, or RAY_API_SERVER_ADDRESS, or ray.address in a site's file",
        )
    try:
        address = web_address(address)
    except ValueError as error:
        raise SpecError(f"Invalid value for '--address': it {error}.") from None
    asks = _authentication_mode(address, ca_file) == "token"
    if not asks:
        return Dashboard(address, False, {}, ca_file)
    token = find_token(environment)
    if token is None:
        raise ResourceError(
            f"The cluster at {address} requires its token, and there is none in {token_file(environment)}.",
            hint=f"copy the file from the cluster's head (mode 0600), or name it with {TOKEN_PATH}",
        )
    return Dashboard(address, True, {"Authorization": f"Bearer {token}"}, ca_file)


def token_place(environment: Mapping[str, str]) -> str:
    """Where the token is taken from, for people."""
    return TOKEN if environment.get(TOKEN) else str(token_file(environment))


def _authentication_mode(address: str, ca_file: str | None) -> str:
    """What the dashboard answers without a token: `token` or `disabled`."""
    url = f"{address}/api/authentication_mode"
    reach_loopback_directly()
    hint = "is the head up, is this its dashboard's port (8265), is the tunnel open (ssh -L 8265:127.0.0.1:8265 HEAD)?"
    try:
        context = ssl.create_default_context(cafile=ca_file) if url.startswith("https") else None
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S, context=context) as answer:
            return str(json.load(answer)["authentication_mode"])
    except urllib.error.HTTPError as error:
        raise ResourceError(
            f"What answers at {address} is not a Ray dashboard: it returned {error.code} {error.reason} for {url}.",
            hint=hint,
        ) from None
    except FileNotFoundError:
        raise SpecError(f"There is no file of certificates {ca_file}.", hint="see ray.ca_file of the site") from None
    except (ValueError, KeyError, TypeError):
        raise ResourceError(f"What answers at {address} is not a Ray dashboard.", hint=hint) from None
    except OSError as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, ssl.SSLError):
            raise ResourceError(
                f"The certificate of {address} is not trusted here ({reason.reason or reason}).",
                hint="name the certificates of its authority: ray.ca_file in the site's file, or SCMMLAB_CA_FILE",
            ) from None
        message = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
        raise ResourceError(f"Nothing answers at {address}: {message}.", hint=hint) from None
