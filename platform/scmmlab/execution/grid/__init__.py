"""A run of an ablation.

| module | what |
|---|---|
| `run` | the run: feeds an engine with stages, and hands their outcomes to the recorder |
| `scheduler` | which stages run next, and which of them together. Pure |
| `stages` | an ablation's cells as stages, with their requests and their amount of work |
| `pack_sizes` | how many replicas train together |
"""
