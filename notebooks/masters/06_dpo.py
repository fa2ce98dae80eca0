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
# # 06 · DPO
#
# **Claim.** Pairs of replies move a model towards the truth, and sometimes away from it.
#
# **Objectives.** Write the preference loss, its margins and its drift by hand. Train on pairs that say what is *not*
# in a clip, count hallucinations before and after, and find out what the same pairs break.
#
# **You need** the package installed and lesson 05's idea of a loss mask; nothing is downloaded. **Time** 20 minutes;
# the cells run in about one, two short trainings included.

# %%
# %matplotlib inline
import torch  # noqa: F401  (for your answers)
from IPython.display import display

from q2a_core import AudioChat, load_waveform, paths
from q2a_core.checkpoint import open_checkpoint
from q2a_core.inspection.figures.training import figure_bars, figure_margins
from q2a_core.inspection.yes_rates import yes_rates
from q2a_core.teaching.checks import check
from q2a_core.teaching.run_lesson import lesson_steps
from q2a_core.teaching.widgets.choose import choose_replies
from q2a_core.teaching.widgets.live_run import live_run, pick_start
from q2a_core.training.preference.own_pairs import write_pairs
from q2a_core.training.preference.pair_file import read_pairs
from q2a_core.training.preference.pair_report import report_pairs
from q2a_core.training.preference.thing_pairs import thing_pairs
from q2a_core.training.runs.class_run import ClassRun
from q2a_core.world.absent_things import things_asked

START, why = pick_start("dpo")
CLIP = "rain"  # any of data_samples/clips
ABOUT = "absent"  # pairs about things that are "absent", "present", or "both"
BETA = 0.1
chat = AudioChat.from_pretrained(START)
print(why, "Hash:", chat.checkpoint.hash)

# %% [markdown]
# ## Is there a dog?
#
# A model that likes to please says yes to what is not there; people call it a hallucination. Here is one question to
# one clip, with the model's own confidence.

# %%
waveform = load_waveform(paths.data_samples() / "clips" / f"{CLIP}.wav")
for thing in ("a dog", "rain"):
    reply = chat.fork().ask(waveform, f"Is there {thing} in this clip?")
    print(f"Is there {thing}? {reply.text}  (confidence {reply.confidence:.0%})")

# %% [markdown]
# One question proves nothing. So here are many, on clips that training never had: half of the things asked for are
# in the clip, half are not. Instead of decoding, we weigh the word Yes against the word No: that also shows how near
# a mistake is. **Predict:** how many of the absent things does it say yes to?

# %%
held_out = things_asked(48)
before = yes_rates(chat, held_out)
print(
    f"{len(before.absent)} absent things: says yes to {before.false_yes:.0%}, mean belief {before.absent.mean():.3f}"
)
print(
    f"{len(before.present)} present things: says yes to {before.true_yes:.0%}, mean belief {before.present.mean():.3f}"
)

# %% [markdown]
# ## Pairs
#
# A pair is a prompt with two replies, the first of them better. The paper's pairs were chosen by people; ours come
# from scenes whose truth is known. Look at what `ABOUT` leaves: in these pairs the better reply *always* begins with
# No.

# %%
asked = things_asked(64, split="train")
wanted = {"absent": (False,), "present": (True,), "both": (False, True)}[ABOUT]
pairs = thing_pairs([thing for thing in asked if thing.is_there in wanted])
for pair in pairs[:3]:
    print(f"{pair.prompt}\n   better: {pair.chosen}\n   worse:  {pair.rejected}")
print(len(pairs), "pairs")

# %% [markdown]
# Add some of your own: the model answers twice at a high temperature. Listen, press the better reply, and go on;
# your choices join the pairs below. The workbench's page *Preferences* does the same with any clip.

# %%
names = ("tense_guitar", "owl_then_drill", "angry_voice", "cat_and_digits")
sounds = {name: load_waveform(paths.data_samples() / "clips" / f"{name}.wav") for name in names}
chooser = choose_replies(chat, sounds, temperature=1.3)
display(chooser)

# %% [markdown]
# ## The loss by hand
#
# DPO (Rafailov et al. 2023, equation 7) asks four numbers of a pair: how likely chosen and rejected are to the model
# that learns, the *policy*, and to a frozen copy of how it began, the *reference*. Each is a sum of
# log-probabilities over the reply's tokens, in nats. The loss falls when the policy prefers the chosen reply by
# **more than the reference did**. Arguments are tensors, one entry a pair; return the mean.


# %% exercise="06.loss"
def preference_loss(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    """Mean of -log sigmoid(beta * (how much more the policy prefers chosen than the reference does))."""
    # SOLUTION
    import torch.nn.functional as F

    chosen_ratio = policy_chosen - reference_chosen
    rejected_ratio = policy_rejected - reference_rejected
    return -F.logsigmoid(beta * (chosen_ratio - rejected_ratio)).mean()
    # STUB
    # return None  # two log-ratios, their difference, beta, -logsigmoid, mean
    # END


check("06.loss", preference_loss)

# %% [markdown]
# **Predict** the loss before the first step, where the policy *is* the reference. Then look.

# %%
folder = paths.runs_dir() / "lesson_06"
pair_list = write_pairs([*pairs, *chooser.pairs], folder / "pairs")
start = open_checkpoint(START)
still = report_pairs(start, start, read_pairs(pair_list)[:8])
print(f"loss {still.loss(BETA):.4f} at beta {BETA}; margins {still.margins(BETA).round(3)}")
print(f"the likelier reply is the chosen one in {still.preferred_before} of 8 pairs already")

# %% [markdown]
# What the log of a run shows comes from the same four numbers. A reply's *reward* is beta times its log-ratio.
# Return the margins, one a pair, and the reward accuracy: the share of pairs whose chosen reply gained more.


# %% exercise="06.margins"
def margins_and_accuracy(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    """Reward margins (B,), and the share of them above 0."""
    # SOLUTION
    chosen_reward = beta * (policy_chosen - reference_chosen)
    rejected_reward = beta * (policy_rejected - reference_rejected)
    margins = chosen_reward - rejected_reward
    return margins, (margins > 0).float().mean()
    # STUB
    # return None  # margins, accuracy
    # END


check("06.margins", margins_and_accuracy)

# %% [markdown]
# ## Train
#
# The run is a process of its own, the same as `q2a train dpo`. Interrupt the cell (the square button) and it stops
# with its state saved. Watch the loss leave log 2 = 0.693. The band is that of our own run at class budget, most of
# whose pairs are replies of the model's own, ranked by the mini world's judge, so yours may lie elsewhere.

# %%
budget = {
    "stage": "dpo",
    "start": START,
    "beta": BETA,
}  # pairs in a step and rate: the class budget's
class_run = ClassRun(steps=lesson_steps(40), pairs=pair_list, **budget)
print(class_run.command("my_dpo"))
run = live_run(class_run)
print(run)

# %% [markdown]
# How far did it go? KL(reference || policy), in nats per reply, is the mean over replies **drawn by the reference**
# of how much likelier they are to it than to the policy. Arguments are log-probabilities of such replies, one entry
# each.


# %% exercise="06.drift"
def drift(policy, reference):
    """KL(reference || policy), estimated from replies that the reference drew."""
    # SOLUTION
    return (reference - policy).mean()
    # STUB
    # return None
    # END


check("06.drift", drift)

# %%
if run.checkpoint is None:
    print("This run left no checkpoint: below stands", run.model, "and not a model of yours.")
after = open_checkpoint(run.model)
report = report_pairs(start, after, read_pairs(pair_list))
unseen = report_pairs(
    start, after, read_pairs(write_pairs(thing_pairs(held_out), folder / "held_out"))
)
print(f"trained pairs: loss {report.loss(BETA):.3f}, drift {report.kl:+.2f} nats per reply")
print(
    "(these replies were written and not drawn, so this is the run's own figure and no unbiased KL)"
)
there = [thing.is_there for thing in held_out]
margins = {
    "trained pairs": report.margins(BETA),
    "held-out pairs, thing absent": unseen.margins(BETA)[[not found for found in there]],
    "held-out pairs, thing present": unseen.margins(BETA)[there],
}
figure_margins(margins)

# %% [markdown]
# ## Hallucination before and after
#
# **Predict** both bars: yes to absent things, and yes to present ones. With `ABOUT = "absent"` the pairs never showed a
# present thing.

# %%
if run.checkpoint is None:
    print("This run left no checkpoint: below stands", run.model, "and not a model of yours.")
chat_after = AudioChat.from_pretrained(run.model)
rates = {"before": before, "after DPO": yes_rates(chat_after, held_out)}
for name, found in rates.items():
    print(
        f"{name:12} absent: yes to {found.false_yes:5.1%} (belief {found.absent.mean():.3f})   "
        f"present: yes to {found.true_yes:5.1%} (belief {found.present.mean():.3f})   right {found.right:.1%}"
    )

# %% [markdown]
# If the second column fell as well, the model has not learned to listen better: it has learned to say No. Pairs
# teach what tells chosen from rejected, and with `ABOUT = "absent"` one word does. Set it to `"both"` and run again:
# now the first word alone no longer does; a noun that is never in a clip still gives a hint.
#
# **Negative control.** All the same pairs the other way round, for as many steps. If the effect were mere training,
# whatever the pairs say, it would go the same way.

# %%
swapped = write_pairs([pair.swapped() for pair in [*pairs, *chooser.pairs]], folder / "swapped")
control = live_run(ClassRun(steps=lesson_steps(40), pairs=swapped, **budget))
print(control)

# %%
if control.checkpoint is None:
    print("This run left no checkpoint: below stands", control.model, "and not a model of yours.")
rates["swapped pairs"] = yes_rates(AudioChat.from_pretrained(control.model), held_out)
found = rates["swapped pairs"]
print(f"swapped pairs  absent: yes to {found.false_yes:.1%}   present: yes to {found.true_yes:.1%}")
figure_bars(
    {
        "absent thing": {name: float(found.absent.mean()) for name, found in rates.items()},
        "present thing": {name: float(found.present.mean()) for name, found in rates.items()},
    },
    unit="mean belief in Yes",
    title="Is there ...? on held-out clips",
)

# %% [markdown]
# And what nobody asked about? Both models, on the clip of the first cells, without a word of text.

# %%
for name, model in (("before", chat), ("after DPO", chat_after)):
    print(f"{name:10} {model.fork().ask(waveform).text}")
logps = report.chosen_after.mean() - report.chosen_before.mean()
print(
    f"log-probability of the chosen replies: {logps:+.2f} nats per reply; only the distance has to grow"
)

# %% [markdown]
# **Limits.** A few dozen pairs about yes and no on synthetic sounds; the paper's pairs are about whole replies, and
# it does not say how many or which weights move (we move projector and decoder). The first word's belief is not the
# whole reply. One seed: a difference of a few points on so few things is noise.
#
# **Where in the source:** `training/losses.py`, `training/preference/dpo.py`, `training/preference/own_pairs.py`,
# `training/preference/pair_report.py`, `inspection/yes_rates.py`. **Where in the paper:** section 2, "Direct preference
# optimization", equation 2.
