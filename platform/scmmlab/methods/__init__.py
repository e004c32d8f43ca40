"""What is trained: SCMM and other methods, behind one contract."""
