"""A run of an ablation.

Which stages are run next (`scheduler`), what they stand for (`stages`), how many train together (`pack_sizes`), and the
loop that feeds an engine with them (`run`).
"""
