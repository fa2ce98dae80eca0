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
# # 02 · Attention on audio
#
# **Claim.** Every audio token has heard the whole clip, and attention reads no padding.
#
# **You will** write attention and compare it with the reference kernel on a real clip's queries and keys; hide the
# padding of a batch; compute how far a token reaches by itself, and measure how far it reaches through attention.
#
# **You need** what lesson 00 needed; lesson 01 helps. **Time** about 20 minutes with the exercises; the cells run in
# seconds. The last exercise can wait for home.

# %%
# %matplotlib inline
import numpy as np
import torch
from IPython.display import display

from q2a_core import AudioChat, lengths, load_waveform, paths
from q2a_core.audio.mel import log_mel, stack_mels
from q2a_core.inspection.attention_views import encoder_maps, entropy_bits, most_bits
from q2a_core.inspection.case import open_case
from q2a_core.inspection.figures.attention import figure_reach, figure_squares
from q2a_core.inspection.reach import share_within, token_reach
from q2a_core.inspection.walk import encoder_states
from q2a_core.kernels import attention
from q2a_core.teaching.checks import check
from q2a_core.teaching.widgets import show_player

torch.set_grad_enabled(False)
clips = paths.data_samples() / "clips"
clip, shorter = clips / "cat_and_digits.wav", clips / "knocking_three.wav"  # or files of yours
waveform = load_waveform(clip)
chat = AudioChat.from_pretrained("mini")
encoder = chat.model.audio_encoder
player = show_player(waveform)
display(player)

# %% [markdown]
# ## What enters a block
#
# The convolutions leave 50 encoder frames a second. Each block makes a query, a key and a value of every frame, in
# several heads: (clips, heads, frames, head width).

# %%
frames = lengths.mel_frames(len(waveform.samples))
mel = log_mel(waveform.samples)
states = encoder_states(chat.model, mel[None], torch.tensor([frames]))
block = encoder.layers[0]
q, k, v = block.self_attn.qkv(block.self_attn_layer_norm(states[0]))
print(f"frames {tuple(states[0].shape)}; q, k, v {tuple(q.shape)}; blocks {len(encoder.layers)}")

# %% [markdown]
# ## Attention
#
# A frame's query is compared with every key; softmax turns the scores into weights; the weights mix the values:
#
# $$\mathrm{softmax}\left(\frac{q k^\top}{\sqrt{d}}\right) v$$
#
# **Predict:** what would happen to the weights without the square root, for wide heads?


# %% exercise="02.attention"
def own_attention(q, k, v):
    """Attention without a mask: q (B, H, Tq, Dh), k and v (B, H, Tk, Dh) -> (B, H, Tq, Dh)."""
    # SOLUTION
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    return scores.softmax(-1) @ v
    # STUB
    # return None
    # END


check("02.attention", own_attention)

# %% [markdown]
# The package has that formula as its reference, and faster kernels that must agree with it. On this clip, in every
# block. **Baseline:** a head that reads all frames alike gives everybody the mean value.

# %%
for layer, block in enumerate(encoder.layers):
    q, k, v = block.self_attn.qkv(block.self_attn_layer_norm(states[layer]))
    mixed = attention(q, k, v, backend="reference")
    fast = attention(q, k, v, backend="sdpa")
    even = v.mean(2, keepdim=True).expand_as(v)
    print(
        f"block {layer + 1}: reference and sdpa differ by at most {(mixed - fast).abs().max():.1e}, "
        f"reference and the mean by {(mixed - even).abs().max():.2f}"
    )
    assert torch.allclose(mixed, fast, atol=1e-4)

# %% [markdown]
# ## What the heads read
#
# Weights in pictures, pooled to audio tokens: a row reads, columns are read. **Predict:** will the first block look
# more like a diagonal (near frames) or like columns (a few frames that everybody reads)? And the last one?

# %%
case = open_case(chat, waveform)
last = len(encoder.layers) - 1
first_maps, last_maps = encoder_maps(case, 0), encoder_maps(case, last)
heads = range(min(2, len(first_maps)))
figure_squares(
    np.stack([*[first_maps[h] for h in heads], *[last_maps[h] for h in heads]]),
    titles=[f"block {b + 1}, head {h + 1}" for b in (0, last) for h in heads],
)

# %% [markdown]
# In numbers: the share of weight within five tokens (0.2 s), and the entropy of a row: with 3 bits it reads as if
# eight tokens alike. **Baseline:** the same for an even map.

# %%
places = first_maps.shape[-1]
even_map = np.full((1, places, places), 1 / places)
ends = ("block 1", first_maps), (f"block {last + 1}", last_maps)
for name, maps in (*ends, ("even", even_map)):
    near, bits = share_within(maps, 5), entropy_bits(maps).mean(-1)
    print(f"{name:8}within 0.2 s", np.round(near, 2), "  bits", np.round(bits, 1))
print(f"at most {most_bits(places):.1f} bits")

# %% [markdown]
# ## Order
#
# Attention by itself knows no order. **Predict:** if the frames enter a block in another order, do the outputs change,
# or only their order? And if the shuffle happens *before* positions are added?

# %%
order = torch.randperm(states[0].shape[1], generator=torch.Generator().manual_seed(0))
block = encoder.layers[0]
shuffled = block(states[0][:, order], None)
same = (shuffled - block(states[0], None)[:, order]).abs().max()
positions = encoder.embed_positions.weight[: states[0].shape[1]]
stem = states[0] - positions
other = (block(stem[:, order] + positions, None) - shuffled).abs().max()
print(f"positions shuffled along: differs by {same:.1e}; positions added afterwards: {other:.2f}")
assert same < 1e-3 < other

# %% [markdown]
# **Negative control.** The clip itself in pieces of 40 ms, shuffled: every sound is still there, the order is not. If
# the model only counted what occurs, it would answer the same.

# %%
question = "What does the person say?"
step = lengths.SAMPLES_PER_TOKEN
pieces = waveform.samples[: len(waveform.samples) // step * step].reshape(-1, step)
mixed_up = pieces[np.random.default_rng(0).permutation(len(pieces))].reshape(-1)
print("the clip :", chat.fork().ask(waveform, question).text)
print("shuffled :", chat.fork().ask(mixed_up, question, sample_rate=lengths.SAMPLE_RATE).text)

# %% [markdown]
# ## Clips of unequal length
#
# A batch is a block of numbers, so the shorter clip is filled up. What lies there must not be read by anybody.


# %% exercise="02.padding"
def padded_attention(q, k, v, lengths):
    """Attention where clip b has lengths[b] frames and padding after them; rows of padding may hold anything."""
    # SOLUTION
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    valid = torch.arange(k.shape[2]) < lengths[:, None]
    scores = scores.masked_fill(~valid[:, None, None, :], float("-inf"))
    return scores.softmax(-1) @ v
    # STUB
    # return None  # q, k, v (B, H, T, Dh), lengths (B,)
    # END


check("02.padding", padded_attention)

# %% [markdown]
# On two clips through the whole encoder: the shorter one alone, in a batch with the mask, and in a batch without it.
# **Predict** by how much the shorter clip's tokens change without the mask: only empty frames were added.

# %%
second = load_waveform(shorter)
short_frames = lengths.mel_frames(len(second.samples))
batch = stack_mels([mel, log_mel(second.samples)])
counts = torch.tensor([frames, short_frames])
tokens = lengths.audio_tokens(short_frames)
alone = encoder(batch[1:], counts[1:])[0, :tokens]

x = encoder.conv_stem(batch)[:, : lengths.encoder_frames(frames)]
x = x + encoder.embed_positions.weight[: x.shape[1]]
with_mask, without = x, x
for block in encoder.layers:
    with_mask = block(with_mask, lengths.encoder_frames(counts))
    without = block(without, None)
for name, found in (("with the mask", with_mask), ("without it", without)):
    apart = (encoder.pool(found)[1, :tokens] - alone).abs().max()
    print(f"{name:14}differs from alone by at most {apart:.1e}")
assert torch.allclose(encoder.pool(with_mask)[1, :tokens], alone, atol=1e-3)

# %% [markdown]
# The second line is the **negative control** of the first: a mask that changed nothing would prove nothing. The package
# goes further and puts clips of similar length into groups, so that little padding is computed at all.
#
# ## How far a token reaches by itself
#
# Before attention a token sees a stretch of samples: a window (400 samples, every 160), two convolutions of kernel 3
# (strides 1 and 2), a pool of 2. Layers are `(kernel, stride)`, from the input on.


# %% exercise="02.field"
def receptive_field(layers):
    """(size, step): inputs that one output reads, and inputs between two outputs."""
    # SOLUTION
    size, step = 1, 1
    for kernel, stride in layers:
        size += (kernel - 1) * step
        step *= stride
    return size, step
    # STUB
    # return None  # layers such as [(3, 1), (3, 2)]
    # END


check("02.field", receptive_field)

# %% [markdown]
# And where does it lie? Frame 0's window is centred on sample 0, and both convolutions are padded by one.


# %% exercise="02.span"
def token_reads(token):
    """Samples [start, stop) that audio token `token` reads before attention; start may lie before 0."""
    # SOLUTION
    first_encoder, last_encoder = 2 * token, 2 * token + 1
    first_mel, last_mel = 2 * first_encoder - 2, 2 * last_encoder + 2
    return 160 * first_mel - 200, 160 * last_mel + 200
    # STUB
    # return None  # two whole numbers
    # END


check("02.span", token_reads)

# %% [markdown]
# ## 40 ms, 85 ms, the clip
#
# Arithmetic says how far a token *may* reach. Does it? Gradients of one token with respect to every mel frame, once
# after the convolutions and once after all blocks; what has no way to the token is exactly zero and is not drawn.
# Click a token in the player above and run this cell again.

# %%
count = lengths.audio_tokens(frames)
token = player.token if player.token is not None else count // 2
reach = token_reach(chat.model, mel, frames, token)
print("mel frames that move the token before attention:", np.flatnonzero(reach.before))
print(f"after attention: {np.count_nonzero(reach.after)} of {frames}")
figure_reach(reach, waveform.samples)

# %% [markdown]
# How much of a token comes from outside its own 85 ms? Near 0, attention would be decoration.

# %%
inside = reach.before > 0
outside = (reach.after[~inside] ** 2).sum() / (reach.after**2).sum()
print(f"{outside:.0%} of the squared effect on token {token} comes from outside its own 85 ms")
print(f"without attention: {(reach.before[~inside] ** 2).sum():.0%}")

# %% [markdown]
# **Limits.** A gradient says what a very small change would do, not what the token means, and a bright map says where a
# head looks, not why the model answers: lesson 07 tests that. One more path joins all frames: the log-mel's floor
# depends on the loudest bin of the clip (lesson 01). The mask covers attention only: the last token's convolutions may
# look one or two mel frames past the clip's end, as in the published model. `mini` has few blocks and heads; what they
# do need not be what the published encoder's do.
#
# **Where in the source:** `kernels/attention_reference.py`, `model/audio_encoder.py`, `lengths.py`,
# `inspection/reach.py`. **Where in the paper:** section 2, "Model Architecture" (based on Whisper large-v3, a pool
# of stride 2 after it); attention itself is Vaswani et al. 2017, equation 1.
