"""Runs: what a run's folder holds, and how a face starts, watches, stops and compares one."""
