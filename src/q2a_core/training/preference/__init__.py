"""Preferences between two replies: where the pairs come from, DPO on them, and what it made of them."""
