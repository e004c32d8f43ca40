"""One function or method for each use: what the command line and notebooks call.

Nothing is printed to standard output from here. `scmmlab.Study` and its like are these modules' names; a module is
imported when one of them is asked for.
"""
