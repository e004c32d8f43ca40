"""A run of a sweep: one search on every engine.

| module | what |
|---|---|
| `run` | the run: which settings are missing, and the records of those that have ended |
| `search`, `order`, `rungs` | what is sampled next, what is stopped, in which order |
| `optuna_study`, `optuna_distributions` | the sampler's study and its distributions, by Optuna |
| `tune_search`, `tune_trial` | the search shown in Ray Tune |
| `setting`, `records` | a sampled setting, and its record (`..run_sweep_tasks`: how a worker trains it) |
"""
