"""Engines: the same study in this process, or on Ray.

The doors are ``engines.run_study``, ``estimate.estimate`` and ``ray_session.ray_session``. Nothing is imported here:
what stands behind each of them (torch, Ray, Optuna) takes seconds to import, and the local engine does without Ray.
"""
