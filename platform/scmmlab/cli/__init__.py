"""The command line: parse, call one method of `scmmlab.api`, print."""
