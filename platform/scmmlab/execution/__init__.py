"""Engines: the same study in this process, or on Ray.

Entry points are ``engines.run_study``, ``estimate.estimate`` and ``ray.session.ray_session``. ``grid`` and ``sweep``
are the two kinds of run, ``ray`` is the engine on Ray, ``jobs`` sends studies to a cluster. Nothing is imported here:
torch, Ray and Optuna take seconds to import, and the local engine does without Ray.
"""
