"""Many chats on one model at once: how long each waits for its first word and for the whole reply.

Every chat is a fork on the same weights with a clip of its own. The replies are those that the chats give alone, or
nothing is reported.
"""

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from q2a_core.bench.pair import QUESTION, noise_clip
from q2a_core.errors import Q2AError
from q2a_core.inference import AudioChat, Reply
from q2a_core.lengths import SAMPLE_RATE
from q2a_core.machine import machine
from q2a_core.progress import OnProgress, unheard

CHATS = (1, 2, 4, 8)
"""How many talk at once."""
SECONDS = 3.0
"""Of each clip."""
NEW_TOKENS = 32
PERCENTILES = (50, 90, 99)


def run_serve(
    chat: AudioChat,
    *,
    chats: Sequence[int] = CHATS,
    rounds: int = 3,
    threads: int | None = None,
    on_progress: OnProgress = unheard,
) -> dict[str, Any]:
    """Latencies for each number of simultaneous chats, each asking `rounds` times; a JSON-ready report.

    Raises Q2AError if a reply differs from what the same chat says alone.
    """
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads or before)
        expected = [_ask(chat.fork(), number).token_ids for number in range(max(chats))]
        rows = []
        for done, count in enumerate(chats):
            rows.append(_together(chat, count, rounds, expected))
            on_progress(done + 1, len(chats))
    finally:
        torch.set_num_threads(before)
    return {
        "checkpoint": {"name": chat.checkpoint.name, "hash": chat.checkpoint.hash},
        "machine": machine(threads=threads or before),
        "clip_seconds": SECONDS,
        "new_tokens": NEW_TOKENS,
        "rounds": rounds,
        "rows": rows,
    }


def _ask(chat: AudioChat, number: int) -> Reply:
    """One turn of chat `number`, on its own clip, always of the same length."""
    chat.reset()
    return chat.ask(
        noise_clip(SECONDS, seed=number),
        QUESTION,
        sample_rate=SAMPLE_RATE,
        temperature=0.0,
        min_new_tokens=NEW_TOKENS,
        max_new_tokens=NEW_TOKENS,
    )


def _together(
    chat: AudioChat, count: int, rounds: int, expected: list[list[int]]
) -> dict[str, Any]:
    replies: list[list[Reply]] = [[] for _ in range(count)]
    ends: list[list[float]] = [[] for _ in range(count)]
    starts: list[float] = []
    failed: list[BaseException] = []
    gate = threading.Barrier(count, action=lambda: starts.append(time.perf_counter()))

    def talk(number: int) -> None:
        try:
            own = chat.fork()
            for _ in range(rounds):
                gate.wait()
                replies[number].append(_ask(own, number))
                ends[number].append(time.perf_counter())
        except BaseException as error:
            failed.append(error)
            gate.abort()

    workers = [threading.Thread(target=talk, args=(number,)) for number in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failed:
        raise failed[0]
    for number, said in enumerate(replies):
        if any(reply.token_ids != expected[number] for reply in said):
            raise Q2AError(
                f"nothing is reported: of {count} chats at once, chat {number + 1} said what it does not say alone"
            )
    turns = [reply for said in replies for reply in said]
    first = [reply.timings.time_to_first_token for reply in turns]
    whole = [
        reply.timings.time_to_first_token
        + (NEW_TOKENS - 1) / max(reply.timings.tokens_per_second, 1e-9)
        for reply in turns
    ]
    rounds_took = [max(done) - start for start, *done in zip(starts, *ends, strict=True)]
    return {
        "chats": count,
        "first_token_seconds": _percentiles(first),
        "reply_seconds": _percentiles(whole),
        "replies_per_second": count / float(np.mean(rounds_took)),
    }


def _percentiles(seconds: list[float]) -> dict[str, float]:
    return {f"p{share}": float(np.percentile(seconds, share)) for share in PERCENTILES}


def to_markdown(report: dict[str, Any]) -> str:
    """A line for each number of chats."""
    host = report["machine"]
    lines = [
        f"Chats at once on {report['checkpoint']['name']} ({report['checkpoint']['hash']}), clips of "
        f"{report['clip_seconds']:g} s, {report['new_tokens']} tokens a reply, {report['rounds']} each; "
        f"{host['processor']}, torch on {host['threads']} threads",
        "",
        "| chats | first token p50 / p90 / p99 | whole reply p50 / p90 / p99 | replies/s |",
        "| ---: | --- | --- | ---: |",
    ]
    for row in report["rows"]:
        cells = (
            " / ".join(f"{row[name][f'p{share}'] * 1e3:.0f} ms" for share in PERCENTILES)
            for name in ("first_token_seconds", "reply_seconds")
        )
        lines.append(f"| {row['chats']} | {' | '.join(cells)} | {row['replies_per_second']:.1f} |")
    return "\n".join(lines)
