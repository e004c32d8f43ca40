"""The version of the numerics: raised by a change that moves any result, so that results of before are not mixed in."""

NUMERICS_VERSION = "2"
