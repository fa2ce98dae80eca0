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
# # 04 · Pre-train
#
# **Claim.** Asking in plain language teaches many tasks to one model.
#
# **Objectives.** Ask one model for many tasks, in sentences and in tags. Compute the next-token loss by hand, and
# its mean over micro-batches. Train for a minute, and read the curve: what falls first, what stays flat, and why.
#
# **You need** the package installed; nothing is downloaded. The first run speaks some phrases, once. **Time** 20
# minutes; the cells run in about one, training included.

# %%
# %matplotlib inline
import math

import torch

from q2a_core import AudioChat, lengths, load_waveform, paths
from q2a_core.audio.mel import log_mel
from q2a_core.checkpoint import open_checkpoint
from q2a_core.evaluation.prompt_ablation import prompt_ablation
from q2a_core.evaluation.ways_of_asking import ways_of_asking
from q2a_core.inspection.figures.training import figure_bars, figure_curves
from q2a_core.inspection.gallery import read_gallery
from q2a_core.model import IGNORE_INDEX
from q2a_core.teaching.checks import check
from q2a_core.teaching.run_lesson import lesson_steps
from q2a_core.teaching.widgets.live_run import live_run, pick_start
from q2a_core.text import user_message
from q2a_core.training.data import held_out_examples
from q2a_core.training.runs.class_run import ClassRun, class_stage
from q2a_core.training.runs.expected import shipped_run
from q2a_core.training.runs.follow import series
from q2a_core.training.task_losses import task_losses
from q2a_core.world.wordings import PROMPTS

CLIP = "voice_over_rain"  # any of data_samples/clips
chat = AudioChat.from_pretrained("mini-pretrain")
waveform = load_waveform(paths.data_samples() / "clips" / f"{CLIP}.wav")
print(waveform.name, f"{waveform.seconds:.2f} s; checkpoint mini-pretrain", chat.checkpoint.hash)

# %% [markdown]
# ## Tasks are prompts
#
# There is one model, one loss and no output head for a task. What is wanted stands in the prompt. **Predict** which
# of these questions it answers rightly about this clip.

# %%
questions = ("transcribe", "name_sound", "caption", "emotion", "is_there")
filling = {"transcribe": "en", "is_there": "a dog"}
for task in questions:
    text = PROMPTS[task].official.replace("{}", filling.get(task, ""))
    print(f"{text:55} {chat.fork().ask(waveform, text).text}")

# %% [markdown]
# ## Sentences against tags
#
# Qwen-Audio, the predecessor, asked in *hierarchical tags*, special tokens from the general to the particular. The
# paper replaced them by sentences and says that this generalises better (section 2, "Pre-training"). Both columns
# ask for the same.

# %%
for task in ("transcribe", "translate", "is_there", "name_sound"):
    print(f"{task:11} {PROMPTS[task].train[0]:32} {PROMPTS[task].tags}")

# %% [markdown]
# Write the tags of three tasks. For `transcribe`, `what` is the language that is spoken and written, such as `"de"`;
# for `translate` the language to translate into, such as `"German"`; for `is_there` the thing.


# %% exercise="04.tags"
def tags(task, what):
    """The tags that ask for a task: transcribe, translate or is_there."""
    # SOLUTION
    if task == "transcribe":
        return f"<|startoftranscript|><|{what}|><|transcribe|><|{what}|>"
    if task == "translate":
        return f"<|startoftranscript|><|unknown|><|translate|><|{what}|>"
    return f"<|startofanalysis|><|en|><|question|>is {what}<|answer|>"
    # STUB
    # return None  # an f-string for each task
    # END


check("04.tags", tags)

# %% [markdown]
# `mini-pretrain` learned from sentences. Now the same clips and wishes in five ways: the official sentence, a
# paraphrase from training, a paraphrase that training never had, tags that it never had, and a *baseline* that asks
# for nothing. We ask how often a sound happens and whether a thing is there: answers that no clip suggests by
# itself. The **negative control**: the official sentence, every clip exchanged for another. Yes or no is often right
# by luck, the more so where most of the answers are No, as here: read the exchanged row first. **Predict** the order.

# %%
scores = ways_of_asking(chat.checkpoint, count=24)
for way, score in scores.items():
    print(
        f"{way:36} {score.value:6.1%}  (95 %: {score.low:.0%} to {score.high:.0%}, {score.n} clips)"
    )
figure_bars(
    {"right": {way: score.value for way, score in scores.items()}}, unit="share of right answers"
)

# %% [markdown]
# That is one model, trained on one way of asking. The ablation needs its twin: the same start, clips and steps, tags
# instead of sentences; then the same short fine-tuning for both, which asks in sentences only. The paper prints none;
# ours was run with a small budget, and is reported as found. Look at the intervals before you read a difference.

# %%
rows = prompt_ablation()
for row in rows:
    print(
        f"pre-trained on {row.prompts}, after {row.stage} "
        f"({row.clips:,} dialogues, the start's among them), {row.hash}:"
    )
    for suite, score in row.scores.items():
        print(f"   {suite:20} {score.value:6.1%}  (95 %: {score.low:.0%} to {score.high:.0%})")
twins = {
    f"{row.prompts}, {row.stage}": {suite: score.value for suite, score in row.scores.items()}
    for row in rows
}
if not rows:
    print("The ablation is not measured yet: no reports ship.")
figure_bars(twins, unit="share of right answers", title="sentences against tags") if rows else None

# %% [markdown]
# ## What is optimised
#
# The loss of an answer: at every position the model gives each token of its vocabulary a probability; minus the
# logarithm of the one given to the token that really comes next is the cost, in nats. Only the answer counts.

# %%
said = {sample.name: sample.text for sample in read_gallery()}
answer = said.get(CLIP) or "There is no speech in this clip."
frames = lengths.mel_frames(waveform.samples.shape[0])
messages = [
    user_message("What does the person say?", clips=1),
    {"role": "assistant", "content": answer},
]
dialogue = chat.checkpoint.chat_format.dialogue(messages, [lengths.audio_tokens(frames)])
ids, counted = torch.tensor(dialogue.input_ids), torch.tensor(dialogue.loss_mask)
mel = log_mel(waveform.samples)
with torch.inference_mode():
    out = chat.model(
        ids[None],
        mel=mel[None],
        mel_lengths=torch.tensor([frames]),
        labels=ids.masked_fill(~counted, IGNORE_INDEX)[None],
    )
logps = out.logits[0, :-1].log_softmax(-1).gather(-1, ids[1:, None])[:, 0]
for place in torch.nonzero(counted[1:])[:, 0].tolist():
    piece = chat.checkpoint.chat_format.tokenizer.piece(int(ids[place + 1]))
    print(f"{piece!r:14} costs {-float(logps[place]):7.4f} nats")
vocabulary = out.logits.shape[-1]
print(f"mean {float(out.loss):.4f} nats")
print(
    f"baseline, a guess among {vocabulary} tokens: ln {vocabulary} = {math.log(vocabulary):.2f} nats"
)

# %% [markdown]
# Now without the package: `logits` is a tensor (T, V), `ids` (T,) are the tokens, `counted` (T,) says which tokens
# are learned from. Return the mean loss.


# %% exercise="04.loss"
def next_token_loss(logits, ids, counted):
    """Mean of -log p(token) over the counted tokens; logits at position t are about token t + 1."""
    # SOLUTION
    logps = logits[:-1].log_softmax(-1)
    chosen = logps.gather(-1, ids[1:, None])[:, 0]
    return -chosen[counted[1:]].mean()
    # STUB
    # return None  # log_softmax, shift by one, gather, mask, mean
    # END


check("04.loss", next_token_loss)

# %% [markdown]
# A step of training is cut into micro-batches, because memory is finite. Their answers differ in length. Given the
# losses of the counted tokens, one list for each micro-batch, return the loss of the step, so that it does not
# depend on where the cuts are.


# %% exercise="04.average"
def step_loss(micro_batches):
    """The loss of a step from lists of token losses, one list a micro-batch; a list may be empty."""
    # SOLUTION
    total = sum(sum(batch) for batch in micro_batches)
    return total / sum(len(batch) for batch in micro_batches)
    # STUB
    # return None
    # END


check("04.average", step_loss)

# %% [markdown]
# ## Which tasks need ears?
#
# Held-out clips, asked as pre-training asks. In the second series every question keeps its answer and gets the next
# clip: a task whose loss does not rise is answered without listening. **Predict** which bars stay short.

# %%
examples = held_out_examples(class_stage("pretrain"), count=32)
own, exchanged = (task_losses(chat.checkpoint, examples, swap=swap) for swap in (False, True))
by_task = own.means()
print(
    f"every token the same weight: {own.loss:.3f}; every task the same: {sum(by_task.values()) / len(by_task):.3f}"
)
figure_bars(
    {"its own clip": by_task, "another's clip": exchanged.means()},
    unit="nats per token",
    title="mini-pretrain on 32 held-out dialogues",
)

# %% [markdown]
# ## Train for a minute
#
# A process of its own, by the same code as `q2a train pretrain`. **Predict** the first loss and the last. The grey
# band is where our own run at class budget lay; the lines under it say in what yours differs. Interrupting
# the cell (the square button) stops the run with its state saved, and `go_on(run)` continues it.

# %%
START, why = pick_start("pretrain")  # or a shipped name of your choice
print(why)
steps = lesson_steps(class_stage("pretrain").steps)  # everything else is the class budget's, too
class_run = ClassRun(stage="pretrain", start=START, steps=steps)
print(class_run.command("my_pretrain"))
run = live_run(class_run)
print(run)

# %% [markdown]
# ## The flat middle
#
# How much did each quarter of the run bring? Is the start fast and the middle flat? Then what came first was wording:
# "This is the sound of a" is the same in every answer. The second curve, `spelling`, asks the encoder alone which
# letters it hears, without the decoder. Does that one fall at all? In a minute it need not: the start spells a little
# already, and now the answers pull at the encoder as well. Hearing takes longer than wording.

# %%
curves = {name: series(run.records, name) for name in ("loss", "spelling")}
for name, (_, values) in curves.items():
    parts = [part for part in torch.tensor(values).tensor_split(4) if len(part)]
    print(
        f"{name:9}",
        " -> ".join(f"{float(part.mean()):.3f}" for part in parts),
        "(mean of each quarter)",
    )
figure_curves(curves, unit="nats", title=f"{run.name}, from {run.start or 'fresh weights'}")

# %% [markdown]
# Does your model listen yet? The same control as above: own clips against exchanged ones. Where the two agree, all
# that it knows is how answers go.

# %%
if run.checkpoint is None:
    print("This run left no checkpoint: below stands", run.model, "and not a model of yours.")
mine = open_checkpoint(run.model)
for name, checkpoint in (("yours", mine), ("mini-pretrain", chat.checkpoint)):
    pair = [task_losses(checkpoint, examples, swap=swap).loss for swap in (False, True)]
    print(
        f"{name:14} {checkpoint.hash}  own clip {pair[0]:.3f}   another's {pair[1]:.3f}   gain {pair[1] - pair[0]:+.3f}"
    )

# %% [markdown]
# A minute is not enough. Here is the last of the runs behind the shipped checkpoint. It begins where those before it
# ended and hardly falls: compare its height with that of your curves, and what the way there took.

# %%
shipped = shipped_run("pretrain")
about = chat.checkpoint.about
before = about.get("start", {}).get("clips", 0)
print(
    f"clips heard before this run {before:,}, in it {about['clips'] - before:,}; "
    f"in yours {run.step * class_stage('pretrain').step_size:,}"
)
names = ("loss/name_sound", "loss/transcribe", "loss/translate", "spelling")
figure_curves(
    {name: series(shipped.records, name) for name in names} if shipped else {},
    unit="nats",
    title=shipped.title if shipped else "no log of a shipped run",
)

# %% [markdown]
# **Limits.** The mini world has few words, few sounds and few tasks beside the paper's. Our start checkpoint stands
# for the weights of Whisper and Qwen that the paper begins with. The band is one run's own scatter, not that of
# other seeds.
#
# **Where in the source:** `world/wordings.py`, `training/losses.py`, `training/step.py`, `training/supervised.py`,
# `evaluation/prompt_suites.py`. **Where in the paper:** section 2, equation 1 and "Pre-training"; the tags are modelled
# on Qwen-Audio's (arXiv 2311.07919), shortened: no timestamp and normalisation tags, the target language by name, and
# the language of the sound left unknown in translation.
