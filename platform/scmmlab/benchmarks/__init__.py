"""What `scmmlab bench` measures."""
