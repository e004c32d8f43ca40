"""scmmlab: ablation studies and hyperparameter sweeps of SCMM, without leaks, on Ray."""

__version__ = "0.1.0"
