"""Who may reach whom under a set of network policies, by Kubernetes' rules."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Pod:
    """A pod, or with an address alone a machine outside."""

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: Mapping[str, str] = field(default_factory=lambda: {"kubernetes.io/metadata.name": "scmmlab"})
    address: str = "10.1.2.3"


OURS = {"kubernetes.io/metadata.name": "scmmlab"}


def outside(address: str) -> Pod:
    """Something at `address` that is no pod."""
    return Pod({}, {}, address)


def allowed(policies: Iterable[Mapping[str, Any]], source: Pod, target: Pod, port: int, protocol: str = "TCP") -> bool:
    """Whether `source` may open a connection to a port of `target`; policies are those of one namespace, ours."""
    policies = list(policies)
    return _lets(policies, "Egress", source, target, port, protocol) and _lets(
        policies, "Ingress", target, source, port, protocol
    )


def _lets(policies: list[Mapping[str, Any]], direction: str, pod: Pod, peer: Pod, port: int, protocol: str) -> bool:
    if pod.namespace != OURS:
        return True  # no policy of ours binds it
    specs = [policy["spec"] for policy in policies]
    binding = [spec for spec in specs if direction in spec["policyTypes"] and _selects(spec["podSelector"], pod.labels)]
    rules = [rule for spec in binding for rule in spec.get(direction.lower(), [])]
    return not binding or any(
        _ports_match(rule.get("ports"), port, protocol)
        and _peers_match(rule.get("from" if direction == "Ingress" else "to"), peer)
        for rule in rules
    )


def _ports_match(ports: list[Mapping[str, Any]] | None, port: int, protocol: str) -> bool:
    return not ports or any(
        item.get("protocol", "TCP") == protocol and item.get("port", port) == port for item in ports
    )


def _peers_match(peers: list[Mapping[str, Any]] | None, peer: Pod) -> bool:
    return not peers or any(_peer_matches(item, peer) for item in peers)


def _peer_matches(item: Mapping[str, Any], peer: Pod) -> bool:
    if "ipBlock" in item:
        address = ipaddress.ip_address(peer.address)
        blocks = [item["ipBlock"]["cidr"], *item["ipBlock"].get("except", [])]
        inside, *excepted = [address in ipaddress.ip_network(block) for block in blocks]
        return inside and not any(excepted)
    if "namespaceSelector" in item:
        return _selects(item["namespaceSelector"], peer.namespace) and _selects(
            item.get("podSelector", {}), peer.labels
        )
    return peer.namespace == OURS and _selects(item["podSelector"], peer.labels)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}, "only matchLabels are understood here"
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())
