"""A run of a sweep: one search on every engine.

| module | what |
|---|---|
| `run` | the run: which settings are missing, and the records of those that have ended |
| `search`, `order`, `rungs` | what is sampled next, what is stopped, in which order |
| `optuna_study`, `optuna_distributions` | the sampler's study and its distributions, by Optuna |
| `tune_search`, `tune_trial` | the search shown in Ray Tune |
| `setting`, `task_runner`, `records` | a sampled setting, how a worker trains it, and its record |
"""
