"""Engines: the same study in this process, or on Ray."""

from scmmlab.execution.ray_session import RaySession, ray_session

__all__ = ["RaySession", "ray_session"]
