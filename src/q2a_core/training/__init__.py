"""Training: what a stage is, its losses, its data, one loop, and state that survives a kill."""
