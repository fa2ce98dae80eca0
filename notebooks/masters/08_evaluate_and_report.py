# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 08 · Evaluate and report
#
# **Claim.** A figure means something only with its conditions beside it: what was asked, how replies were counted, how
# sure it is, and what the same questions score when nobody listens.
#
# **You will** count errors by hand, put an interval around a rate, take the bias out of a judge, read the paper's
# Table 2 with its misprints, work out what the real 7B needs, and write a one-page report on a model of your own.
#
# **You need** nothing but the package; works offline. **Time** an hour at home; the cells run in seconds.

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import numpy as np
import torch
from IPython.display import Markdown

from q2a_core import AudioChat, lengths, paths, presets
from q2a_core.evaluation.bleu import bleu
from q2a_core.evaluation.external_judge import fair_marks, parse_marks
from q2a_core.evaluation.metrics import (
    accuracy,
    bootstrap,
    unseen_errors,
    word_error_rate,
    word_errors,
)
from q2a_core.evaluation.mini_suites import suites_named
from q2a_core.evaluation.mini_table import evaluate_mini
from q2a_core.evaluation.paper_figures import OURS, PAPER, leaders, mark_behind_average
from q2a_core.evaluation.stage_results import shipped_results, side_by_side
from q2a_core.evaluation.tables import printed, report_table
from q2a_core.model import Qwen2Audio
from q2a_core.teaching.as_published import lay_out_as_published
from q2a_core.teaching.checks import check
from q2a_core.teaching.report import report_page, subject_of, write_report
from q2a_core.teaching.run_lesson import lesson_steps
from q2a_core.training.runs.folders import known_runs

# %% [markdown]
# Whose report shall it be? A shipped name such as `mini` or `mini-pretrain`, or one of your own runs.

# %%
SUBJECT = "mini"
SUITES = ["recognition", "recognition at 5 dB", "everyday sound"]
SUITES += ["translation en-de", "mini AIR-Bench, mixed"]
CLIPS = lesson_steps(32)  # in each suite; more clips, narrower intervals, longer waiting
print(
    "shipped:",
    ", ".join(paths.shipped_checkpoints()),
    "- your runs:",
    ", ".join(known_runs()) or "none",
)

# %% [markdown]
# **Predict before you run.** Half as many clips are asked again with *another* clip's sound under the same question.
# What will a model score there that answers from the question alone? And one that listens?
#
# The first time, the test voices are spoken, which takes longest; then every clip is asked once, greedily.

# %%
subject = subject_of(SUBJECT)
record = evaluate_mini(
    subject.checkpoint, count=CLIPS, suites=suites_named(SUITES), controls=False, examples=CLIPS
)
Markdown(report_table(record))

# %% [markdown]
# The column *clips swapped* is the **negative control**: same questions, same counting, wrong sound. Yes or no is right
# about half the time by luck: read that column first. The paper's columns stand there to say what is measured; its test
# sets are others, so the figures do not compare.
#
# Now take the figures apart. How many errors are there between what was said and what was understood?


# %% exercise="08.edits"
def edits(reference, hypothesis):
    """The fewest words to exchange, leave out or put in, to get from one list of words to the other."""
    # SOLUTION
    row = list(range(len(hypothesis) + 1))
    for number, word in enumerate(reference, start=1):
        above, row = row, [number]
        for place, other in enumerate(hypothesis):
            exchanged = above[place] + (word != other)
            row.append(min(exchanged, above[place + 1] + 1, row[-1] + 1))
    return row[-1]
    # STUB
    # return None  # a whole number; both are lists of words, and either may be empty
    # END


check("08.edits", edits)

# %% [markdown]
# On real replies, by the package (jiwer): those of the suite with the highest error rate, for where nothing goes wrong
# there is nothing to learn about errors. What is counted depends on the normaliser: raw text, lower case without
# signs, or Whisper's English one, which the official scripts use.

# %%
rates = {row["suite"]: row["score"]["value"] for row in record["rows"] if row["metric"] == "WER"}
hardest = max(rates, key=rates.get)
heard = [row for row in record["examples"] if row["suite"] == hardest]
pairs = [(row["true"], row["reply"]) for row in heard]
print(f"{hardest}, wrong replies first:")
counts = [word_errors(*pair, language="en") for pair in pairs]  # as the table counts
for place in sorted(range(len(pairs)), key=lambda place: -counts[place][0])[:6]:
    (errors, words), (truth, reply) = counts[place], pairs[place]
    print(f"{errors} of {words}   {truth!r} -> {reply!r}")
written = [(truth.capitalize() + ".", reply) for truth, reply in pairs]
print("truth with capital and full stop, normalised:", f"{word_error_rate(written).value:.1%}")
print("official English normaliser:", f"{word_error_rate(written, language='en').value:.1%}")
raw = sum(one.split() != other.split() for one, other in written)
print(f"raw text: {raw} of {len(written)} transcripts would count as wrong")


# %% exercise="08.rate"
def rate(counts):
    """The error rate of a whole corpus from its clips' [(errors, words), ...]."""
    # SOLUTION
    return sum(errors for errors, _ in counts) / sum(words for _, words in counts)
    # STUB
    # return None  # a share such as 0.25
    # END


check("08.rate", rate)

# %% [markdown]
# Averaging the clips' own rates would be another figure, and a friendlier or unfriendlier one as it comes:

# %%
by_corpus = bootstrap(counts)  # the table's figure again
by_clip = np.mean([errors / words for errors, words in counts if words])
print(f"corpus {by_corpus.value:.1%}, mean of the clips {by_clip:.1%}, {by_corpus.n} clips")

# %% [markdown]
# How sure is it? **Predict:** with ten clips, is an error rate known to one per cent, or to twenty?


# %% exercise="08.interval"
def interval(counts, rng, rounds):
    """Low and high end of the 95 % bootstrap interval of the corpus rate; counts (N, 2) of errors and words."""
    # SOLUTION
    drawn = counts[rng.integers(len(counts), size=(rounds, len(counts)))].sum(1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    return low, high
    # STUB
    # return None  # two shares, low first
    # END


check("08.interval", interval)

# %% [markdown]
# What more clips buy, if they are like the ones you have: the interval shrinks with the root of their number.

# %%
for copies in (1, 4, 16):
    score = bootstrap(counts * copies)
    print(f"{score.n:4} clips: {score.value:.1%}, {score.low:.1%} to {score.high:.1%}")

# %% [markdown]
# And a suite without a single error? **Predict** its interval, if the model does err in one clip of fifty.
#
# Drawing again from clips without errors finds none: the bootstrap has no width, and knows nothing of the clips you did
# not ask. The **rule of three** does: none in n clips still allows an error in up to 3 / n of such clips. For
# shares the package takes Wilson's interval at 0 and 100 %, which says about the same.

# %%
for clips in (10, CLIPS, 1000):
    drawn, share = bootstrap([(0, 4)] * clips), accuracy([True] * clips)
    print(
        f"no error in {clips:4} clips: bootstrap {drawn.low:.1%} to {drawn.high:.1%}; "
        f"rule of three: up to {unseen_errors(clips):.1%} of clips; "
        f"all {clips} right: {share.low:.1%} to {share.high:.1%} (Wilson)"
    )

# %% [markdown]
# BLEU counts runs of up to four words, so it says nothing about shorter sentences, and it depends on the tokeniser.
# Its signature belongs beside the figure; the first line below is the table's figure again. **Baseline:** replies in
# the wrong order.

# %%
translated = [row for row in record["examples"] if row["suite"] == "translation en-de"]
texts = [(row["true"], row["reply"]) for row in translated]
moved = [(one[0], other[1]) for one, other in zip(texts, texts[1:] + texts[:1], strict=True)]
short = [("guten Tag", "guten Tag")] * 3
chinese = [("一只猫在桌子上", "一只猫在桌子上")] * 3
for name, found, language in (
    ("the replies", texts, "de"),
    ("replies moved on by one", moved, "de"),
    ("two right words, three times", short, "de"),
    ("right Chinese, tokeniser for Chinese", chinese, "zh"),
    ("right Chinese, tokeniser for the rest", chinese, "en"),
):
    score = bleu(found, language=language)
    print(f"{name}: {score.value:.1f} ({score.low:.1f} to {score.high:.1f})  {score.signature}")

# %% [markdown]
# Free answers are marked by a judge. The paper used GPT-4 on AIR-Bench: it reads a description of the clip and two
# answers, and writes two marks. Judges like one place better, so each pair is asked twice, swapped the second time.


# %% exercise="08.fair"
def fair(straight, swapped):
    """(reply's mark, lead of the first place) from the marks (first, second) of both rounds.

    Straight: the reference is first, the reply second. Swapped: the reply is first.
    """
    # SOLUTION
    reply = (straight[1] + swapped[0]) / 2
    lead = (straight[0] - straight[1] + swapped[0] - swapped[1]) / 2
    return reply, lead
    # STUB
    # return None  # two numbers
    # END


check("08.fair", fair)

# %% [markdown]
# A made-up judge, so that the truth is known: it sees each answer's quality, adds `bias` marks to the first place, and
# rounds. One round alone is wrong by that; two rounds are not.

# %%
rng = np.random.default_rng(0)
quality, bias = rng.uniform(3, 7, size=(200, 2)), 1.5
rounds = [
    (
        parse_marks(f"{reference + bias:.0f} {reply:.0f}"),
        parse_marks(f"{reply + bias:.0f} {reference:.0f}"),
    )
    for reference, reply in quality
]
marks = [fair_marks(*both) for both in rounds]
print("true lead of reference over reply:", round(float(np.mean(quality[:, 0] - quality[:, 1])), 2))
print("one round:", round(float(np.mean([one[0] - one[1] for one, _ in rounds])), 2))
print("both rounds:", round(float(np.mean([m.reference - m.reply for m in marks])), 2))
print(
    "lead of the first place:",
    round(float(np.mean([m.lead_of_first for m in marks])), 2),
    "- put in:",
    bias,
)

# %% [markdown]
# ## The paper's Table 2
#
# Its text says that Qwen2-Audio outperforms the others. In which columns does it not lead alone, by the printed
# figures?

# %%
lines = ["| set | column | best printed | Qwen2-Audio |", "| --- | --- | --- | --- |"]
for row in PAPER.values():
    for column in row.columns:
        if leaders(row, column) != [OURS]:
            names = ", ".join(leaders(row, column))
            lines.append(f"| {row.name} | {column} | {names} | {printed(row, OURS, column)} |")
Markdown("\n".join(lines))

# %% [markdown]
# And one column looks odd. AIR-Bench has four parts (speech, sound, music, mixed) and an average. Suppose the *average*
# was printed under *mixed*: which mark for mixed stands behind it?


# %% exercise="08.hidden"
def hidden(speech, sound, music, average):
    """The fourth mark, if `average` is the mean of all four."""
    # SOLUTION
    return 4 * average - (speech + sound + music)
    # STUB
    # return None
    # END


check("08.hidden", hidden)

# %%
row = PAPER["air_bench"]
print(f"{'system':16}{'printed':>9}{'behind it':>11}{'leaderboard':>13}")
for system, figures in row.results.items():
    right = row.corrections.get((system, "mixed"))
    behind = mark_behind_average(figures[:3], figures[3])
    print(f"{system:16}{figures[3]:9.2f}{behind:11.2f}{right if right is not None else '':>13}")

# %% [markdown]
# Where the last two columns agree, arithmetic alone finds the misprint. A mark above ten cannot be: that figure was
# taken from another system's line. For the rest one has to look at the benchmark's own leaderboard.
#
# Where the intervals do not touch, two stages differ. Where they overlap, these figures alone do not say; the same
# clips were asked, so a paired test might.

# %%
names = [name for name in ("mini-pretrain", "mini-sft") if name in paths.shipped_checkpoints()]
results = [shipped_results(paths.shipped_checkpoint(name)) for name in names]
lines = ["| suite | " + " | ".join(names) + " | |", "| --- |" + " --- |" * (len(names) + 1)]
for suite in side_by_side(results)[:12]:
    cells = [f"{figure.text} ({figure.interval})" if figure else "" for figure in suite.figures]
    last = suite.figures[-1]
    lines.append(
        f"| {suite.suite}, {suite.metric} | {' | '.join(cells)} | {last.verdict if last else ''} |"
    )
Markdown("\n".join(lines))

# %% [markdown]
# ## Opening the real 7B
#
# What does it need? The weights, and keys and values of every position (lesson 03), all as numbers of `itemsize` bytes.


# %% exercise="08.memory"
def memory(parameters, decoder, positions, itemsize):
    """Bytes of weights and KV cache; `decoder` has num_layers, num_heads, num_kv_heads, head_dim, d_model."""
    # SOLUTION
    cached = 2 * decoder.num_layers * decoder.num_kv_heads * decoder.head_dim * positions
    return (parameters + cached) * itemsize
    # STUB
    # return None
    # END


check("08.memory", memory)

# %%
positions = (
    lengths.tokens_of_samples(30 * lengths.SAMPLE_RATE) + 256
)  # a full window, and a dialogue
for name, config in (("mini", presets.mini()), ("the real one", presets.qwen2_audio_7b())):
    with torch.device("meta"):  # shapes without memory
        model = Qwen2Audio(config)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    cache = config.decoder.kv_bytes(positions, itemsize=2)
    print(
        f"{name}: {parameters:,} parameters; weights {parameters * 4 / 2**30:.2f} GiB in float32, "
        f"{parameters * 2 / 2**30:.2f} in bfloat16; cache of {positions} positions {cache / 2**20:.1f} MiB"
    )

# %% [markdown]
# On a GPU with that much memory (and `dtype="bfloat16", device="cuda"`) it takes three lines. Here they open a small
# model in a folder laid out the same way: config, tokenizer, numbered shards with an index.

# %%
published = lay_out_as_published("mini", Path(tempfile.mkdtemp()) / "as-published")
print(*sorted(path.name for path in published.iterdir()), sep="\n")

# %%
source = str(published)  # on your GPU: "Qwen/Qwen2-Audio-7B-Instruct"
chat = AudioChat.from_pretrained(source)
reply = chat.ask(audio=paths.data_samples() / "clips" / "keyboard_question.wav")
print(reply.text)
same = AudioChat.from_pretrained("mini").ask(
    audio=paths.data_samples() / "clips" / "keyboard_question.wav"
)
print("the same as from one file:", reply.token_ids == same.token_ids)

# %% [markdown]
# ## Capstone: your report
#
# One page about your `SUBJECT`: what it is, its curve, every figure with its conditions, replies with mistakes first,
# and what all that does not say. Train a run (lesson 04, 05 or 06, or `q2a train`), put its name at the top, run again.

# %%
report = write_report(record, SUBJECT)
print(*report, sep="\n")
Markdown(report_page(record, SUBJECT).markdown())

# %% [markdown]
# **Limits.** A few dozen synthetic clips, one set of weights. The intervals do not cover another training run. Nothing
# here compares with the paper's figures.
#
# **Where in the source:** `evaluation/metrics.py`, `bleu.py`, `external_judge.py`, `mini_table.py`, `paper_figures.py`;
# `teaching/report.py`. From the command line: `q2a eval --suite mini`. **Where in the paper:** section 3, Tables 1
# and 2.
