"""Shallow domain adaptation: windows of source and target are made alike before a classical method is fitted.

Nothing of it is learnt by gradients, and no label of the target has a part in it. Which windows of the target it sees
is granted by the protocol (`Fold.unlabelled`).
"""
