"""Many chats on one model: all say what they say alone, and the latencies are those of the replies."""

import json
import time
from dataclasses import replace

import pytest

from q2a_core.bench import serve
from q2a_core.bench.serve import run_serve, to_markdown
from q2a_core.errors import Q2AError
from q2a_core.inference import AudioChat


@pytest.fixture(scope="module")
def chat(tiny_checkpoint):
    return AudioChat.from_pretrained(tiny_checkpoint)


def test_latencies_of_several_chats(chat):
    heard = []
    report = run_serve(
        chat, chats=(1, 3), rounds=2, threads=1, on_progress=lambda *now: heard.append(now)
    )
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert [row["chats"] for row in report["rows"]] == [1, 3]
    assert heard == [(1, 2), (2, 2)]
    for row in report["rows"]:
        first, whole = row["first_token_seconds"], row["reply_seconds"]
        assert 0 < first["p50"] <= first["p90"] <= first["p99"]
        assert first["p50"] < whole["p50"]
    table = to_markdown(report)
    assert table.count("\n| ") == 4
    assert chat.checkpoint.hash in table


def test_a_chat_that_says_something_else_is_not_reported(chat, monkeypatch):
    right, calls = serve._ask, []

    def wrong(own, number):
        calls.append(number)
        reply = right(own, number)
        return replace(reply, token_ids=reply.token_ids[1:]) if len(calls) > 2 else reply

    monkeypatch.setattr(serve, "_ask", wrong)
    with pytest.raises(
        Q2AError, match=r"of 2 chats at once, chat . said what it does not say alone"
    ):
        run_serve(chat, chats=(2,), rounds=1, threads=1)


def test_an_error_in_one_chat_ends_all(chat, monkeypatch):
    right, calls = serve._ask, []

    def broken(own, number):
        calls.append(number)
        if len(calls) > 2 and number == 1:
            raise Q2AError("as planned")
        return right(own, number)

    monkeypatch.setattr(serve, "_ask", broken)
    with pytest.raises(Q2AError, match="as planned"):
        run_serve(chat, chats=(2,), rounds=2, threads=1)


def test_the_slowest_chat_decides_how_many_are_served(chat, monkeypatch):
    """All begin a round together, and the next one when all have their replies."""
    right = serve._ask

    def slow(own, number):
        reply = right(own, number)
        if number == 1:
            time.sleep(0.3)
        return reply

    monkeypatch.setattr(serve, "_ask", slow)
    (row,) = run_serve(chat, chats=(2,), rounds=2, threads=1)["rows"]
    assert row["replies_per_second"] < 2 / 0.3
