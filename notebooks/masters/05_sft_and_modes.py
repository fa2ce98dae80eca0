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
# # 05 · SFT and the two modes
#
# **Claim.** Voice chat and audio analysis are told apart by what is heard and read, without a switch.
#
# **Objectives.** Mark by hand what a dialogue is learned from. See what fine-tuning changed, on the same clips.
# Train it for a minute. Read the mode off the hidden states, beat the shuffled control, and ask whether what can be
# read is used.
#
# **You need** the package installed; nothing is downloaded. The first run speaks some phrases, once. **Time** 20
# minutes; the cells run in about one, training included.

# %%
# %matplotlib inline
import numpy as np

from q2a_core import AudioChat, lengths, load_waveform, paths
from q2a_core.inspection.figures.probes import figure_probes
from q2a_core.inspection.figures.training import figure_bars
from q2a_core.inspection.mode_probe import mode_probe
from q2a_core.inspection.mode_scenes import MODE_TASKS, mode_clips, probe_book
from q2a_core.inspection.steering import random_direction, steering_effects
from q2a_core.inspection.weight_change import by_part, weight_changes
from q2a_core.model import IGNORE_INDEX
from q2a_core.teaching.checks import check
from q2a_core.teaching.run_lesson import lesson_steps
from q2a_core.teaching.turns import turns_of
from q2a_core.teaching.widgets.live_run import live_run, pick_start
from q2a_core.training.data import held_out_examples
from q2a_core.training.runs.class_run import ClassRun, class_stage
from q2a_core.training.task_losses import task_losses

CLIPS = (
    "dog_twice",
    "three_green_keys",
    "question_bell",
    "tense_guitar",
)  # any of data_samples/clips
sounds = {name: load_waveform(paths.data_samples() / "clips" / f"{name}.wav") for name in CLIPS}
chats = {name: AudioChat.from_pretrained(name) for name in ("mini-pretrain", "mini-sft")}
print({name: chat.checkpoint.hash for name, chat in chats.items()})

# %% [markdown]
# ## The same clips, before and after
#
# The clip comes alone: nobody typed anything, and there is no prompt that says "voice chat". A sound, a statement, a
# spoken question, music. **Predict:** what does a model say that was only ever asked in writing?

# %%
for name, sound in sounds.items():
    for stage, chat in chats.items():
        print(f"{name:18} {stage:14} {chat.fork().ask(sound).text}")

# %% [markdown]
# With a written question both know what to do: pre-training was full of them.

# %%
for stage, chat in chats.items():
    print(f"{stage:14} {chat.fork().ask(sounds[CLIPS[1]], 'What does the person say?').text}")

# %% [markdown]
# ## What is learned from
#
# SFT continues with the same loss; new are clips that come alone and questions asked aloud. All of the dialogue is
# read; only what the assistant says is learned. Here is the longest of some held-out dialogues, token by token, with
# the tokens that count in brackets; three placeholders stand for the many of a clip.

# %%
examples = held_out_examples(class_stage("sft"), count=36)
chat_format = chats["mini-sft"].checkpoint.chat_format
longest = max(examples, key=lambda example: len(example.task.messages))
shown = turns_of(list(longest.task.messages), chat_format, [3] * (longest.samples is not None))
for turn in shown:
    print(
        f"{turn.role:10}",
        "".join(f"[{p}]" if k else p for p, k in zip(turn.pieces, turn.mask, strict=True)).replace(
            "\n", "⏎"
        ),
    )

# %% [markdown]
# `turns` is a list of `(role, pieces)`; the pieces are all tokens of the turn as text, from `"<|im_start|>"` to the
# line break after `"<|im_end|>"`. Return one long list for the whole dialogue: True for tokens that are learned
# from.


# %% exercise="05.mask"
def loss_mask(turns):
    """True on what the assistant says itself, with the token that ends its turn; False on all else."""
    # SOLUTION
    mask = []
    for role, pieces in turns:
        first = pieces.index("\n") + 1
        last = len(pieces) - 1 - pieces[::-1].index("<|im_end|>")
        mask += [role == "assistant" and first <= place <= last for place in range(len(pieces))]
    return mask
    # STUB
    # return None  # one True or False for every piece of every turn
    # END


check("05.mask", loss_mask)

# %% [markdown]
# The loss wants labels: the token's own id where it counts, `IGNORE_INDEX` where not. It does the shift by one
# itself.


# %% exercise="05.labels"
def labels_of(ids, mask):
    """The labels of a dialogue, a list as long as `ids`."""
    # SOLUTION
    return [token if kept else IGNORE_INDEX for token, kept in zip(ids, mask, strict=True)]
    # STUB
    # return None
    # END


check("05.labels", labels_of)

# %% [markdown]
# How little that is, and where it lies:

# %%
counts = {"audio placeholders": 0, "other tokens read": 0, "learned from": 0}
for example in examples:
    clips = [] if example.samples is None else [example.samples]
    audio = [lengths.audio_tokens(lengths.mel_frames(len(samples))) for samples in clips]
    for turn in turns_of(list(example.task.messages), chat_format, audio):
        heard = sum(piece == "<|AUDIO|>" for piece in turn.pieces)
        counts["audio placeholders"] += heard
        counts["learned from"] += sum(turn.mask)
        counts["other tokens read"] += len(turn.pieces) - heard - sum(turn.mask)
print({name: f"{number / sum(counts.values()):.1%}" for name, number in counts.items()})

# %% [markdown]
# ## What fine-tuning changed
#
# Both checkpoints on the same held-out dialogues. **Predict** which task was new, and which ones got worse.

# %%
before, after = (task_losses(chat.checkpoint, examples) for chat in chats.values())
print(f"loss {before.loss:.3f} -> {after.loss:.3f} on {len(examples)} dialogues")
figure_bars({"mini-pretrain": before.means(), "mini-sft": after.means()}, unit="nats per token")

# %%
for change in by_part(weight_changes("mini-pretrain", "mini-sft")):
    print(
        f"{change.part:14} {change.weights / 1e6:5.2f} M weights moved by {change.relative:6.1%} of their length"
    )

# %% [markdown]
# ## Train it yourself
#
# A minute of SFT, from `mini-pretrain`. **Predict** the first loss and the last: is it the answers or their form
# that is new? The band is that of our own run at class budget. The answers under the curve are to clips that training
# never had.

# %%
START, why = pick_start("sft")
print(why)
steps = lesson_steps(class_stage("sft").steps)  # everything else is the class budget's, too
class_run = ClassRun(stage="sft", start=START, steps=steps)
print(class_run.command("my_sft"))
run = live_run(class_run)
print(run)

# %%
if run.checkpoint is None:
    print("This run left no checkpoint: below stands", run.model, "and not a model of yours.")
mine = AudioChat.from_pretrained(run.model)
for name, sound in sounds.items():
    print(f"{name:18} {mine.fork().ask(sound).text}")
print(f"loss on the held-out dialogues: {task_losses(mine.checkpoint, examples).loss:.3f}")

# %% [markdown]
# ## Where does it know the mode?
#
# No token says "voice chat". So the model must work it out, and at the last position of the prompt, where the first
# word of the reply is decided, a straight cut through the hidden state may tell. That cut is a *probe*. But a probe
# with as many weights as the state has can tell anything on the clips it was fitted to. So it is scored on other
# clips, and beside it stands a control: the same procedure on shuffled labels.


# %% exercise="05.control"
def shuffled_control(score, labels, rng, times):
    """Mean of score(...) over `times` shuffles of labels; score fits a probe to labels and returns its accuracy."""
    # SOLUTION
    return float(np.mean([score(rng.permutation(labels)) for _ in range(times)]))
    # STUB
    # return None
    # END


check("05.control", shuffled_control)

# %% [markdown]
# Two tasks. Left: is there a written question? Right, harder, nothing is written: is what somebody *says* a question
# or a statement? **Predict** the first point on the left: the embedding of the last prompt token, which is always
# the same.

# %%
chat = chats["mini-sft"]
probes = {
    task.title: mode_probe(
        chat, task, examples=count, book=probe_book() if task.needs_speech else None
    )
    for task, count in ((MODE_TASKS["text"], 80), (MODE_TASKS["statement"], 80))
}
for title, probe in probes.items():
    best = probe.best
    print(
        f"{title}: layer {best.layer} {best.accuracy.value:.0%}, control {best.control:.0%}; {probe.task.caution}"
    )
figure_probes({title: probe.layers for title, probe in probes.items()})

# %% [markdown]
# What can be read need not be *used*. So push: add the direction from "voice chat" to "audio analysis" to the state
# while the reply is decoded. **Negative control:** a random direction of the same length. If both turn as many
# replies, the direction says nothing about the mode.

# %%
probe = next(iter(probes.values()))
layer = max(probe.best.layer, 1)
direction = probe.layers[layer].direction("means")
clips = mode_clips(MODE_TASKS["text"], count=24, seed=7, book=None)
control = random_direction(direction, np.random.default_rng(0))
for name, vector in (("probe", direction), ("random", control)):
    for effect in steering_effects(chat, clips, layer, vector, (1.0, 2.0)):
        shares = f"turned {effect.turned.value:4.0%}, kept {effect.kept.value:4.0%}, neither {effect.neither:4.0%}"
        print(f"{name:7} strength {effect.strength:.0f}: {shares}")

# %% [markdown]
# **Limits.** The modes of a mini model are what we trained. The probe's clips are few, see the intervals. Where
# "kept" and "turned" are both low, the push broke the replies. Single clips above are examples and no measurement;
# `results.json` beside the checkpoints has the suites.
#
# **Where in the source:** `text/chat.py` (`dialogue`), `training/batches.py`, `world/tasks.py`,
# `inspection/mode_probe.py`, `inspection/steering.py`. **Where in the paper:** section 2, "Supervised fine-tuning":
# the two modes are trained jointly, and users need no system prompt to choose one.
