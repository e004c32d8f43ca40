"""SCMM: soft contrastive masked modelling (arXiv 2408.09186)."""
