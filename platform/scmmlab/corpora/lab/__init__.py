"""A lab's own recordings, described by a layout file: where subjects, sessions, trials and labels come from."""

from scmmlab.corpora.lab.layout import LayoutSpec, read_layout

__all__ = ["LayoutSpec", "read_layout"]
