"""What a notebook shows that moves: drawn in the notebook, computed elsewhere."""
