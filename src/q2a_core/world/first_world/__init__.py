"""The first mini world: English words by three accents, everyday sounds, and what the first model was asked of them.

Every stage trains and tests in the grown world, which began as this one. It stays for the runs and reports that were
made in it: `--level first`, and `q2a eval --suite first`.

plan       who says what
sampler    scenes
tasks      dialogues about them
"""
