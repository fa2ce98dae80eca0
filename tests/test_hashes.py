"""Hashes stay those that shipped traces, replies and results hold."""

from q2a_core import hashes


def test_hashes_are_those_that_shipped_traces_and_replies_hold():
    assert hashes.content_hash(b"abc") == "ba7816bf8f01"
    assert hashes.content_hash(b"abc", 16) == "ba7816bf8f01cfea"
