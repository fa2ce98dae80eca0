"""Evaluation: metrics, suites of held-out clips, and the runner that asks once and scores."""
