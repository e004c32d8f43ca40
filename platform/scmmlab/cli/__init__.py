"""The command line: parse, load a spec, call one function, print."""
