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
# # 07 · Look inside
#
# **Claim.** Where a model looks and what makes it answer are two different maps. You will draw both for one word of one
# reply, and then ask three more questions: which moments carry an answer from one clip to another, what can be read
# off the states, and is the model listening at all?
#
# After this lesson you can overwrite, patch and probe, and you know the control that each of them needs.
#
# **You need** the idea of attention (lesson 02) and of log-probabilities (lesson 00). **Time** 15 minutes in class;
# `07.rank` and `07.selectivity` can wait for home. The cells themselves run in seconds.
#
# Try other clips: change the name and the question. The word is chosen by a rule, so that there is something to see: of
# the words whose most read window is not the one that hurts most, the one that can be hurt most. Changes are in nats:
# -0.7 halves a probability, -7 makes it a thousand times smaller.

# %%
# %matplotlib inline
import numpy as np

from q2a_core import AudioChat, lengths, load_waveform, paths
from q2a_core.inspection.case import open_case
from q2a_core.inspection.causes import causal_map, edit_effect
from q2a_core.inspection.edits import AUDIO_TOKENS
from q2a_core.inspection.figures.causes import figure_listening, figure_look_and_cause
from q2a_core.inspection.figures.clip import figure_map
from q2a_core.inspection.figures.probes import figure_probes
from q2a_core.inspection.linear_probe import probe_layer
from q2a_core.inspection.listening import is_listening
from q2a_core.inspection.look_and_cause import (
    compare_words,
    look_by_window,
    rank_correlation,
    telling_word,
)
from q2a_core.inspection.mode_probe import capture_states, probe_layers
from q2a_core.inspection.order_scenes import mean_mel, order_clips
from q2a_core.inspection.patching import patch_map
from q2a_core.teaching.checks import check
from q2a_core.teaching.widgets import show_player

clip_name, question = "cat_and_digits.wav", "What does the person say?"

clips = paths.data_samples() / "clips"
chat = AudioChat.from_pretrained("mini")
waveform = load_waveform(clips / clip_name)
case = open_case(chat, waveform, question)
cause = causal_map(case, fill="mean", rng=np.random.default_rng(0))
word = telling_word(compare_words(case, cause)).word
print(f"{chat.checkpoint.name} {chat.checkpoint.hash}, greedy: {case.reply.text}")
print(f"{case.num_tokens} audio tokens; the word looked at: {word.text!r}")

# %%
show_player(waveform)

# %% [markdown]
# ## Overwrite
#
# An edit replaces what the model holds of some moments, and the model runs on from there. The usual filling is the
# clip's own mean over time: nothing special happens there any more, and yet the vectors look like this clip.


# %% exercise="07.ablate"
def mean_ablate(states, first, stop):
    """A new (A, D) in which tokens [first, stop) hold the whole clip's mean over time."""
    # SOLUTION
    edited = states.clone()
    edited[first:stop] = states.mean(dim=0)
    return edited
    # STUB
    # return None  # a tensor like states
    # END


check("07.ablate", mean_ablate)

# %% [markdown]
# First the whole clip, with four fillings. This is the baseline: what is the clip worth to the reply? **Predict:**
# which filling does the most harm, and is that a reason to take it, or not to?

# %%
donor = open_case(chat, clips / "siren_in_noise.wav", question)
for fill in ("mean", "noise", "zero", "other"):
    rng = np.random.default_rng(0)
    effect = edit_effect(case, (0, case.num_tokens), fill=fill, rng=rng, other=donor)
    print(f"{fill:6} {effect.change:7.1f} nats: {effect.reply}")

# %% [markdown]
# Harm alone does not choose. Zeros are no state that the model has ever seen: some of what they do is mere surprise.
# Another clip says something of its own. The mean is of this clip, and says nothing about any moment.
#
# ## Two maps of one word
#
# Above: how much attention the word lays on each stretch of 120 ms, in each decoder block. Below: how its
# log-probability changes when that stretch is overwritten, at each depth. A frame marks the strongest window of a row.
# **Predict** before you run: at which second is the word spoken, and will both maps point there?

# %%
look = look_by_window(case, cause.windows, word.first, word.stop)
figure_look_and_cause(waveform, look, cause, first=word.first, stop=word.stop, title=word.text)

# %% [markdown]
# Does the clip matter less in the last rows? Then what was needed has moved on to the text's positions. Any other word:

# %%
from ipywidgets import interact  # noqa: E402

_ = interact(
    lambda chosen: figure_look_and_cause(
        waveform,
        look_by_window(case, cause.windows, chosen.first, chosen.stop),
        cause,
        first=chosen.first,
        stop=chosen.stop,
        title=chosen.text,
    ),
    chosen=[(f"{number} {item.text}", item) for number, item in enumerate(case.words, 1)],
)

# %% [markdown]
# Attention and nats have no common unit, so compare their *order*: is the window that is read most also the one that
# hurts most?


# %% exercise="07.rank"
def rank_corr(a, b):
    """Rank correlation of two NumPy series (W,) without equal values: -1 to 1."""
    # SOLUTION
    ranks_a, ranks_b = np.argsort(np.argsort(a)), np.argsort(np.argsort(b))
    return np.corrcoef(ranks_a, ranks_b)[0, 1]
    # STUB
    # return None  # a number
    # END


check("07.rank", rank_corr)

# %% [markdown]
# **Predict** the correlation for each decoder block. The control: the same with the windows in random order.

# %%
tokens_row = cause.sites.index(AUDIO_TOKENS)
harm = -cause.of(word.first, word.stop)[tokens_row]
rng = np.random.default_rng(0)
for block, weights in enumerate(look, start=1):
    by_chance = [rank_correlation(weights, rng.permutation(harm)) for _ in range(500)]
    low, high = np.percentile(by_chance, (2.5, 97.5))
    found = rank_correlation(weights, harm)
    print(f"decoder {block}: {found:5.2f}; 95 % of random orders lie in {low:.2f} to {high:.2f}")

# %% [markdown]
# ## The control: random ranges
#
# Any damage costs something. So take the window that is *read* most and the one that *hurts* most, overwrite each, and
# beside it random ranges of the same width. The second window was chosen by its harm; to be fair, it is tested with
# another filling than the one that chose it. First both windows of every word: a word that no single window can hurt is
# held by several at once, or follows from the words before it, and where both windows agree the claim has no case.

# %%
compared = compare_words(case, cause)
for one in compared:
    read, hurts = (cause.windows[place][0] * 0.04 for place in (one.read_most, one.hurts_most))
    print(
        f"{one.word.text:10} read most at {read:.2f} s, hurt most at {hurts:.2f} s: {one.harm:.3f} nats"
    )
chosen = telling_word(compared)
for name, place in (("read most", chosen.read_most), ("hurts most", chosen.hurts_most)):
    window = cause.windows[place]
    effect = edit_effect(case, window, fill="noise", rng=np.random.default_rng(1))
    change = (effect.after - effect.before)[word.first : word.stop].sum()
    others = (effect.controls - effect.before)[:, word.first : word.stop].sum(axis=-1)
    print(
        f"{name:10} {window[0] * 0.04:.2f} s: {change:6.2f} nats; random ranges {np.median(others):6.2f} "
        f"(median), {(others > change).sum()} of {len(others)} did less harm -> {effect.reply}"
    )

# %% [markdown]
# ## Patch
#
# Overwriting says what is needed. Patching says what is *enough*: write the states of another clip into this one, and
# see whether the model changes sides. How far it goes depends on the two clips, so it needs a scale.


# %% exercise="07.patch_effect"
def patch_effect(patched, own, other):
    """0 if the patch changed nothing, 1 if it does what the other clip does; NaN where both clips agree."""
    # SOLUTION
    if other == own:
        return float("nan")
    return (patched - own) / (other - own)
    # STUB
    # return None  # a number
    # END


check("07.patch_effect", patch_effect)

# %% [markdown]
# Three knocks, patched with a dog that barks twice; both are asked how often. What is measured is the preference for
# the second clip's reply over the first one's. **Predict:** is there one moment that holds the number?

# %%
how_often = "How many times does it happen?"
knocking = open_case(chat, clips / "knocking_three.wav", how_often)
dog = open_case(chat, clips / "dog_twice.wav", how_often)
patches = patch_map(knocking, dog)
print(f"{knocking.reply.text} | {dog.reply.text}")
for site, whole in zip(patches.sites, patches.whole, strict=True):
    print(f"{site.label:13} the whole clip patched: {whole:5.2f}")
figure_map(
    patches.effect,
    labels=[site.label for site in patches.sites],
    seconds_per_column=(patches.windows[0][1] - patches.windows[0][0]) * 0.04,
    signed=True,
    unit="share of the way",
)

# %% [markdown]
# Does any window alone go as far as the whole clip? Negative shares work against the other clip: a count lies between
# moments. Negative control: a clip patched with itself; there is no way to go, so no share of it.

# %%
print(patch_map(knocking, knocking, only=[AUDIO_TOKENS]).whole)

# %% [markdown]
# ## Probe
#
# What can be read off the states with a straight cut? The clips here hold a drill and an engine, in either order: same
# length, same average spectrum. The question asked is about neither: "What does the person say?" **Predict:** can a
# probe on the last position tell the order, and does the model use it?
#
# A probe with many weights finds something in anything. So the same probe is fitted to shuffled labels too.


# %% exercise="07.selectivity"
def selectivity(predicted, labels, predicted_shuffled, shuffled):
    """Accuracy beyond the control: predicted, labels (N,); of K control probes and their labels (K, N)."""
    # SOLUTION
    return (predicted == labels).mean() - (predicted_shuffled == shuffled).mean()
    # STUB
    # return None  # a number
    # END


check("07.selectivity", selectivity)

# %%
scenes = order_clips(("drill", "engine"), count=32, seed=0, text="What does the person say?")
probes = probe_layers(capture_states(chat, scenes), scenes, seed=0)
labels = np.array([scene.label for scene in scenes])
pairs = np.array([scene.group for scene in scenes])
average = probe_layer(mean_mel(scenes), labels, pairs, layer=0, rng=np.random.default_rng(0))
print(f"average log-mel {average.accuracy.value:.2f}, shuffled {average.control:.2f}")
for probe in probes:
    print(f"state {probe.layer}: {probe.accuracy.value:.2f}, shuffled {probe.control:.2f}")
for scene in scenes[:2]:
    print(
        chat.fork().ask(scene.samples, scene.text, sample_rate=lengths.SAMPLE_RATE).text,
        "| asked for the order:",
        chat.fork()
        .ask(scene.samples, "Which sound comes first?", sample_rate=lengths.SAMPLE_RATE)
        .text,
    )
figure_probes(
    {"drill or engine first? asked for something else": probes},
    labels=["embedding", *(f"block {probe.layer}" for probe in probes[1:])],
    baseline=average.accuracy.value,
)

# %% [markdown]
# State 0 is the same vector in every clip, so it has to lie at one half. What can be *read off* need not be *used*:
# compare the two replies to the first question.
#
# ## Is it listening?
#
# Score the same reply under the clip, and under sounds that cannot have caused it: silence, noise, another clip, no
# audio. The best of these rivals is what the clip has to beat.


# %% exercise="07.listening"
def listening_score(logps):
    """Nats a token by which "clip" beats the best rival; logps maps each condition to its log-probabilities (R,)."""
    # SOLUTION
    rivals = [values for name, values in logps.items() if name != "clip"]
    best = max(rivals, key=lambda values: values.sum())
    return logps["clip"].mean() - best.mean()
    # STUB
    # return None  # a number
    # END


check("07.listening", listening_score)

# %% [markdown]
# **Predict** the order of these three scores: the words of a voice; a tune's instrument and mood; "Is there a dog in
# this clip?", asked about rain. Is the last answer right?

# %%
meters = {}
for name, text in (
    (clip_name, question),
    ("tense_guitar.wav", "Describe the music."),
    ("rain.wav", "Is there a dog in this clip?"),
):
    sound = load_waveform(clips / name)
    reply = chat.fork().ask(sound, text)
    other = load_waveform(clips / "dog_twice.wav")
    meters[name] = is_listening(
        chat, sound, text, reply.token_ids, other=other, rng=np.random.default_rng(0)
    )
    meter = meters[name]
    print(
        f"{meter.gain:6.2f} nats a token over {meter.rival.condition!r}: {name}, {text} -> {reply.text}"
    )

# %%
figure_listening(meters[clip_name], title=f"{clip_name}: {meters[clip_name].gain:.2f} nats a token")

# %% [markdown]
# A right answer with a score near 0 was not heard: the model would have said so anyway.
#
# **Limits.** One clip proves nothing about others: change it. Windows of 120 ms miss what is spread out or held twice;
# try `owl_then_drill.wav` with "Which sound comes first?" and compare single windows with the whole clip. Attention
# weights leave out what the values carry. An overwritten state is one the model never met. A probe finds what is there
# in a straight line, not what is used, and 16 pairs give wide intervals. The meter compares with four rivals; a fifth
# might explain more. And this is a small model in a synthetic world: methods carry over, maps do not.
#
# **Where in the source:** `inspection/edits.py`, `causes.py`, `look_and_cause.py`, `patching.py`, `linear_probe.py`,
# `listening.py`; the workbench's page Attention does the same by hand. **Where in the paper:** nowhere; it shows what
# the model answers (section 3), not why.
