"""Lesson 03: placeholders, merge, the greedy loop, and what the KV cache costs."""

from collections.abc import Callable, Sequence
from typing import Any

from q2a_core.teaching.checks.numbers import number
from q2a_core.teaching.exercise import Exercise, Verdict, call, passed, wrong

PLACEHOLDER = 3
EXPAND_CASES: tuple[tuple[str, list[int], list[int]], ...] = (
    ("one clip", [7, 8, 3, 9], [4]),
    ("two clips", [7, 3, 8, 3, 9], [2, 5]),
    ("no clip", [7, 8, 9], []),
    ("at both ends", [3, 8, 3], [3, 1]),
    ("side by side", [5, 3, 3, 6], [1, 4]),
    ("a clip of one token", [5, 3, 6], [1]),
)


def judge_expand(answer: Any) -> Verdict:
    """Each placeholder repeated once per audio token of its clip."""
    from q2a_core.text.chat import expand_placeholders

    rows, right, found = [], True, {}
    for name, ids, counts in EXPAND_CASES:
        given = list(ids)
        yours = [int(token) for token in call(answer, given, PLACEHOLDER, list(counts))]
        due = expand_placeholders(ids, PLACEHOLDER, counts)
        if given != ids:
            return wrong(
                "the list of ids that was handed in has changed. Others may still need it: build a new list."
            )
        rows.append((f"{name}: {ids}, counts {counts}", str(yours), str(due)))
        right = right and yours == due
        found[name] = yours
    if right:
        message = (
            "the length of the text is known before the model runs, and no other token has moved."
        )
        return passed(message, rows=tuple(rows))
    return wrong(_expand_mistake(found), rows=tuple(rows))


def _expand_mistake(found: dict[str, list[int]]) -> str:
    one, two = found["one clip"], found["two clips"]
    if one == [7, 8, 3, 9]:
        return (
            "nothing was repeated: each placeholder has to stand once per audio token of its clip."
        )
    if one.count(PLACEHOLDER) == 5:
        return (
            "one placeholder too many per clip: the one that is there counts as the first of the run, "
            "it is replaced, not followed."
        )
    if one.count(PLACEHOLDER) == 3:
        return "one placeholder too few per clip: as many are needed as the clip has audio tokens."
    if one[:2] == [7, 8] and PLACEHOLDER not in one[:2] and 9 not in one:
        return (
            "what comes after the clip is lost: the other tokens stay as they are, in their order."
        )
    if two.count(PLACEHOLDER) == 4 and two.index(8) == 3:
        return (
            "the second clip got the first clip's count: the k-th placeholder takes the k-th count."
        )
    if two == [7] + [3] * 5 + [8] + [3] * 2 + [9]:
        return (
            "the counts are handed out in reverse: the first placeholder belongs to the first clip."
        )
    if two.count(PLACEHOLDER) > 7 or two == [7] + [3] * 7 + [8, 9]:
        return (
            "all counts went to one run: each clip has a run of its own, where its placeholder was."
        )
    return "go through the ids in order: a placeholder becomes a run, everything else is copied."


def judge_merge(answer: Any) -> Verdict:
    """Audio embeddings written over the placeholder rows of the text's, several clips, all places."""
    import torch

    from q2a_core.model.merge import merge_audio

    rows, first_bad = [], None
    generator = torch.Generator().manual_seed(0)
    for name, mask in (
        ("one clip", [0, 0, 1, 1, 1, 0]),
        ("two clips", [0, 1, 1, 0, 1, 0, 0]),
        ("at both ends", [1, 0, 0, 1, 1]),
        ("nothing but audio", [1, 1, 1, 1]),
    ):
        is_placeholder = torch.tensor(mask, dtype=torch.bool)
        text = torch.randn(len(mask), 8, generator=generator)
        audio = torch.randn(sum(mask), 8, generator=generator)
        kept = text.clone()
        yours = call(answer, text, audio, is_placeholder.clone())
        if not torch.equal(text, kept):
            return wrong(
                "the text embeddings that were handed in have changed. They may be rows of the model's own "
                "table: write into a copy."
            )
        due = merge_audio(text[None], audio, is_placeholder.long()[None], 1)[0]
        yours = torch.as_tensor(yours)
        if yours.shape != due.shape:
            return wrong(
                f"{name}: the result has shape {tuple(yours.shape)}, expected {tuple(due.shape)}. The sequence does "
                "not grow: its placeholder rows are overwritten."
            )
        same = bool(torch.equal(yours, due))
        rows.append((f"{name}: {mask}", "right" if same else "differs", "right"))
        if not same and first_bad is None:
            first_bad = (text, audio, is_placeholder, yours, due)
    if first_bad is None:
        return passed("the decoder will not know that these rows never were words.")
    text, audio, where, yours, due = first_bad
    message = _merge_mistake(text, audio, where, yours)
    return wrong(message, rows=tuple(rows), yours=yours, expected=due)


def _merge_mistake(text: Any, audio: Any, where: Any, yours: Any) -> str:
    import torch

    def like(other: Any) -> bool:
        return other.shape == yours.shape and bool(torch.allclose(yours, other, atol=1e-5))

    def written(rows: Any, places: Any) -> Any:
        result = text.clone()
        result[places] = rows
        return result

    if like(text):
        return "the rows are the text's own: nothing was written."
    if like(text + written(audio, where) * where[:, None]):
        return "the audio was added to the placeholder's embedding: it has to take its place."
    if like(written(audio.flip(0), where)):
        return "the clip runs backwards: the first audio row goes to the first placeholder."
    for shift, word in ((1, "late"), (-1, "early")):
        moved = where.roll(shift)
        if like(written(audio, moved)):
            return (
                f"every row lies one position too {word}: an off-by-one that no shape will betray."
            )
    if like(written(audio[:1], where)):
        return "every placeholder got the first audio row: there is one row per placeholder."
    if like(written(audio.mean(0, keepdim=True), where)):
        return "every placeholder got the clip's mean: there is one row per placeholder."
    start = int(where.nonzero()[0])
    block = torch.zeros_like(where)
    block[start : start + len(audio)] = True
    if like(written(audio[: int(block.sum())], block)):
        return (
            "all audio was written in one piece from the first placeholder on, over the text between two clips: "
            "write where the mask is true, and only there."
        )
    return "only rows where the mask is true may differ from the text's, and they are the audio's in order."


def judge_greedy(answer: Any) -> Verdict:
    """The greedy loop on small made-up models: order of calls, stop tokens, the limit."""
    import torch

    rows, mistakes = [], []
    for name, script, stop_ids, most in (
        ("stops at 2", [5, 4, 6, 2, 7, 7], [2, 0], 10),
        ("stops at the other stop token", [5, 0, 6, 6, 6], [2, 0], 10),
        ("reaches the limit", [5, 4, 6, 7, 1, 3], [2, 0], 4),
        ("stops at once", [2, 5, 5], [2, 0], 10),
        ("no stop token known", [5, 2, 0, 4], [], 4),
        ("repeats itself", [4, 4, 4, 2, 1], [2], 10),
    ):
        asked: list[list[int]] = []

        def next_logits(
            ids: Sequence[int], asked: list[list[int]] = asked, script: list[int] = script
        ) -> Any:
            asked.append([int(token) for token in ids])
            if len(asked[-1]) > len(script) + 20 or len(asked) > 5000:
                raise _Endless
            # in the script while the reply so far is the script's; elsewhere an id that no script holds
            place = len(ids)
            known = asked[-1] == script[:place] and place < len(script)
            logits = torch.full((12,), -1.0)
            logits[9] = -9.0
            logits[10] = 0.5  # the runner-up
            logits[script[place] if known else 11] = 3.0
            return logits

        due = _greedy(script, stop_ids, most)
        try:
            yours = [int(token) for token in call(answer, next_logits, list(stop_ids), most)]
        except Exception as error:
            if isinstance(getattr(error, "error", error), _Endless):
                return wrong(
                    f"{name}: the loop goes on far past its end. It ends at a stop token, or after "
                    f"max_new_tokens={most} tokens."
                )
            raise
        rows.append((f"{name}: stop_ids {stop_ids}, limit {most}", str(yours), str(due)))
        if yours != due:
            mistakes.append((name, yours, due, script, asked))
    if not mistakes:
        return passed("this is all that greedy decoding is.", rows=tuple(rows))
    return wrong(_greedy_mistake(mistakes), rows=tuple(rows))


class _Endless(Exception):
    """The student's loop never ends."""


def _greedy(script: list[int], stop_ids: Sequence[int], most: int) -> list[int]:
    reply = []
    for token in script[:most]:
        if token in stop_ids:
            break
        reply.append(token)
    return reply


def _greedy_mistake(mistakes: list[tuple[str, list[int], list[int], list[int], Any]]) -> str:
    names = [name for name, *_ in mistakes]
    name, yours, due, _, asked = mistakes[0]
    if yours and yours == [9] * len(yours):
        return "this takes the least likely token: greedy takes the largest logit."
    if any(len(ids) < place for place, ids in enumerate(asked)):
        return (
            "the model is asked about a part of the reply only: it has to be given all tokens so far, "
            "in order, and the first time none."
        )
    if names == ["reaches the limit"] or names == ["reaches the limit", "no stop token known"]:
        off = len(yours) - len(due)
        return f"the limit is off by {off:+d}: max_new_tokens counts the tokens of the reply."
    if name == "stops at 2" and yours == [*due, 2]:
        return "the stop token is part of your reply: it ends the reply and is not shown."
    if "stops at the other stop token" in names and "stops at 2" not in names:
        return "only one of the stop tokens is known: each id in stop_ids ends the reply."
    if name == "repeats itself":
        return "a repeated token ended the reply: only stop tokens and the limit may."
    if yours[: len(due)] == due and len(yours) > len(due):
        return "the reply goes on after a stop token: look at each token before you keep it."
    if 11 in yours or 10 in yours:
        return (
            "the model was given something else than the reply so far, or another token than the likeliest was "
            "taken: choose the largest logit, put it at the end, ask again."
        )
    return "the reply ends too early: only a stop token or the limit may end it."


def judge_cache_bytes(answer: Any) -> Verdict:
    """Bytes of keys and values for several decoders; in some of them heads share keys, in some numbers are short."""
    from dataclasses import replace

    from q2a_core import presets

    mini, real = presets.mini().decoder, presets.qwen2_audio_7b().decoder
    grouped = replace(real, num_kv_heads=4)
    cases = (
        ("mini, fp32", mini, 100, 4),
        ("7B, bf16", real, 750, 2),
        ("7B with 4 key-value heads, bf16", grouped, 750, 2),
        ("tiny, fp32", presets.tiny(vocab_size=448).decoder, 1, 4),
        ("empty cache", mini, 0, 4),
    )
    rows, ratios = [], []
    for name, config, positions, itemsize in cases:
        yours = number(call(answer, config, positions, itemsize))
        due = config.kv_bytes(positions, itemsize=itemsize)
        rows.append((f"{name}, {positions} positions", f"{yours:,.0f}", f"{due:,}"))
        ratios.append(yours / due if due else (1.0 if yours == 0 else float("inf")))
    if all(abs(ratio - 1) < 1e-9 for ratio in ratios):
        message = (
            "linear in positions, and a number that decides how many people one GPU can serve."
        )
        return passed(message, rows=tuple(rows))
    return wrong(_cache_mistake(ratios, [case[1:] for case in cases]), rows=tuple(rows))


def _cache_mistake(ratios: list[float], cases: list[tuple[Any, int, int]]) -> str:
    filled = [(ratio, case) for ratio, case in zip(ratios, cases, strict=True) if case[1]]

    def is_off_by(factor: Callable[[Any, int, int], float]) -> bool:
        return all(abs(ratio / factor(*case) - 1) < 1e-6 for ratio, case in filled)

    for factor, message in (
        (lambda c, p, b: 0.5, "half of it: both keys and values are kept."),
        (
            lambda c, p, b: c.num_heads / c.num_kv_heads,
            "query heads are counted: only key-value heads are kept, and query heads share them.",
        ),
        (lambda c, p, b: 1 / c.num_layers, "one layer only: every layer keeps its own."),
        (lambda c, p, b: 1 / b, "these are numbers, not bytes: one number takes itemsize bytes."),
        (lambda c, p, b: 8, "these are bits: itemsize is in bytes already."),
        (
            lambda c, p, b: 1 / c.num_kv_heads,
            "one head only: each key-value head keeps a vector of head_dim.",
        ),
        (
            lambda c, p, b: 1 / c.head_dim,
            "the width of a head is missing: a key is a vector of head_dim numbers.",
        ),
        (
            lambda c, p, b: p,
            "it grows with the square of the positions: that would be the attention matrix, which is not kept.",
        ),
        (
            lambda c, p, b: 1 / p,
            "this is one position; each position of the sequence keeps its own.",
        ),
    ):
        if is_off_by(factor):
            return message
    return (
        "multiply what is kept: keys and values, of each layer, of each key-value head, head_dim numbers, for "
        "each position, in bytes."
    )


EXERCISES = (
    Exercise(
        id="03.expand",
        title="Expand the placeholders",
        difficulty=2,
        importance=4,
        minutes=5,
        hint="Go through the ids; where the id is the placeholder, take the next count and append that many, else "
        "append the id itself.",
        judge=judge_expand,
    ),
    Exercise(
        id="03.merge",
        title="Merge sound into text",
        difficulty=2,
        importance=5,
        minutes=4,
        hint="Copy the text embeddings, then assign with the boolean mask as index: it picks its rows in reading "
        "order.",
        judge=judge_merge,
    ),
    Exercise(
        id="03.greedy",
        title="The greedy loop",
        difficulty=2,
        importance=5,
        minutes=6,
        hint="At most max_new_tokens times: ask for the logits after the reply so far, take the argmax, leave the "
        "loop if it is in stop_ids, else append it.",
        judge=judge_greedy,
    ),
    Exercise(
        id="03.cache_bytes",
        title="What the cache keeps",
        difficulty=2,
        importance=3,
        minutes=4,
        hint="config.num_layers, config.num_kv_heads and config.head_dim are numbers of the decoder; each position "
        "keeps one key and one value per layer and key-value head.",
        judge=judge_cache_bytes,
    ),
)
