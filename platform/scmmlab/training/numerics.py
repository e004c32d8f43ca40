"""The version of the numerics: part of every key, so that results of different arithmetic never mix."""

NUMERICS = "1"
"""Changed whenever a change of the code changes a result (more than by rounding on another machine)."""
