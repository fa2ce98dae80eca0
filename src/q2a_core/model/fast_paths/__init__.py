"""The decoder's formulas again, quicker: a step in NumPy for CPUs, captured prompts and steps for GPUs.

Nothing here is needed to understand the model or to get its answers, and each path is held against it by a test.
"""
