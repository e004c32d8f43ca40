"""Tensor code with a leading replica axis: parameters, Adam, layers, batches, random streams, matmuls."""
