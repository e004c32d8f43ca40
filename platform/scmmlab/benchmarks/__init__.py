"""What `scmmlab bench` measures.

| module | what |
|---|---|
| `steps`, `graph_check` | training steps a second, and whether a CUDA graph computes the same |
| `projection` | the time of a study of the paper's size, from these rates |
| `overhead`, `scale` | what the execution layer costs per cell, and all commands as a study grows |
| `study`, `sweep` | a fixed study run in four ways, and a sweep's share of its ceiling |
"""
