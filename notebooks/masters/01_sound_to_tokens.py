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
# # 01 · Sound to tokens
#
# **Claim.** Seconds become frames and 40 ms tokens by arithmetic that holds for every length. On the way most of the
# sound is thrown away, and you will hear what is left.
#
# **You will** build the log-mel front end from windows, triangles and a logarithm; compare it with librosa and with
# the model's own; count tokens for any clip without an off-by-one; and say what a token has heard.
#
# **You need** lesson 00's installation and headphones, if you have some. **Time** about 25 minutes with the exercises;
# the cells run in seconds. The second exercise (triangles) can wait for home.

# %%
# %matplotlib inline
import librosa
import numpy as np
import torch
from IPython.display import display

from q2a_core import AudioChat, lengths, load_waveform, paths
from q2a_core.audio.mel import log_mel, power_spectrogram
from q2a_core.inspection.figures.clip import figure_clip
from q2a_core.inspection.front_end import MelSettings, resynthesise
from q2a_core.teaching.checks import check
from q2a_core.teaching.widgets import front_end_knobs, show_player

clip = paths.data_samples() / "clips" / "open_the_small_door.wav"  # or a file of yours
waveform = load_waveform(clip)
samples = waveform.samples

# %% [markdown]
# ## Samples
#
# Play it, and click a token in the lowest row: three brackets appear, which the last part of this lesson explains.

# %%
player = show_player(waveform)
display(player)

# %% [markdown]
# A microphone's voltage is measured 16,000 times a second. **Predict:** a tone of 9,000 Hz is sampled so, without a
# filter before it. Which tone will you see?

# %%
time = np.arange(lengths.SAMPLE_RATE) / lengths.SAMPLE_RATE
too_high = np.cos(2 * np.pi * 9_000 * time)
spectrum = np.abs(np.fft.rfft(too_high))
print("loudest at", int(spectrum.argmax()), "Hz")
assert np.allclose(too_high, np.cos(2 * np.pi * 7_000 * time))

# %% [markdown]
# The samples are the same numbers. Nothing above 8,000 Hz can be told apart from something below it, which is why
# `load_waveform` filters before it resamples.
#
# ## Windows
#
# A frame is a stretch of 400 samples (25 ms), a new one every 160 (10 ms). Each is faded in and out by a Hann window,
# and its spectrum says how much of each frequency is in it. The clip comes `padded`: 200 samples mirrored before it, so
# that frame 0 is centred on sample 0, and silence after it.


# %% exercise="01.power"
def power_spectrum(padded):
    """|spectrum|² (201, frames) of windows of 400 samples, one every 160, each times a periodic Hann window."""
    # SOLUTION
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 400)[::160]
    return np.abs(np.fft.rfft(windows * hann)).T ** 2
    # STUB
    # return None  # rows are frequencies, columns are frames
    # END


check("01.power", power_spectrum)

# %% [markdown]
# The package's version, against librosa's. librosa mirrors the clip's end where the model's front end sees silence, so
# the last two frames are left out.

# %%
frames = lengths.mel_frames(len(samples))
power = power_spectrogram(torch.from_numpy(samples), frames=frames, window=480_000).numpy()
by_librosa = np.abs(librosa.stft(samples, n_fft=400, hop_length=160, pad_mode="reflect")) ** 2
apart = np.abs(power - by_librosa[:, :frames])[:, :-2].max() / power.max()
print(f"{power.shape}; largest difference {apart:.1e} of the loudest value")
assert apart < 1e-4

# %% [markdown]
# ## Mel bands
#
# 201 bins at equal distances are more than an ear tells apart at the top and barely enough at the bottom. Triangles
# weigh them into 128 bands: equally spaced up to 1,000 Hz, where a band holds only a bin or two, and wider and wider
# above (Slaney's scale).


# %% exercise="01.filters"
def triangles(edges, bins):
    """Weights (bins, bands): band m is a triangle over edges m, m + 1 and m + 2, of area 1 (all in Hz)."""
    # SOLUTION
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - left) / (centre - left)
    falling = (right - bins[:, None]) / (right - centre)
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (right - left)
    # STUB
    # return None  # there are two bands fewer than edges
    # END


check("01.filters", triangles)

# %% [markdown]
# The last step is a logarithm, because ears hear ratios. It is cut off at 80 dB (eight powers of ten) below the loudest
# bin of the **whole clip**, and scaled: `(x + 4) / 4`.


# %% exercise="01.log"
def compress(bands):
    """Log-mel (M, F) of mel powers (M, F): at least 1e-10, log10, floor at the maximum minus 8, then (x + 4) / 4."""
    # SOLUTION
    log_power = np.log10(np.maximum(bands, 1e-10))
    return (np.maximum(log_power, log_power.max() - 8) + 4) / 4
    # STUB
    # return None
    # END


check("01.log", compress)

# %% [markdown]
# All three together are `log_mel`, the model's front end. Again against librosa, whose decibels are ten times ours:

# %%
mel = log_mel(samples).numpy()[:, :frames]
theirs = librosa.feature.melspectrogram(
    y=samples, sr=16_000, n_fft=400, hop_length=160, n_mels=128, pad_mode="reflect"
)
decibels = librosa.power_to_db(theirs, ref=1.0, amin=1e-10, top_db=80)[:, :frames]
apart = np.abs(mel - (decibels / 10 + 4) / 4)[:, :-2]
print(f"log-mel {mel.shape}; largest difference from librosa {apart.max():.1e}")
assert apart.max() < 1e-2
figure_clip(waveform, mel, lengths.audio_tokens(frames), title=waveform.name)

# %% [markdown]
# ## Hop and window
#
# **Predict:** with a window of 100 ms instead of 25, do the voice's harmonics get sharper or more blurred? And the
# edges of its consonants? Turn the knobs: time and frequency are paid for with each other, and the hop alone sets the
# number of tokens.

# %%
front_end_knobs(waveform)

# %% [markdown]
# ## Hear what is left
#
# The log-mel has no phases: a sound and the same turned upside down give one picture. Griffin-Lim looks for phases
# that agree with one another and so makes a sound of the picture. **This is all that the model can know of the clip.**

# %%
assert torch.equal(log_mel(samples), log_mel(-samples))
kept = resynthesise(samples, MelSettings())
show_player(kept, name="from 128 bands")

# %%
coarse = resynthesise(samples, MelSettings(num_mels=8))
show_player(coarse, name="from 8 bands")

# %% [markdown]
# How far from the clip is each, in dB between log-mels? **Negative control:** another clip, cut to the same length. If
# the resynthesis were as far away as that, the picture would have kept nothing.

# %%
other = load_waveform(paths.data_samples() / "clips" / "rain.wav").samples
both = min(len(other), len(samples))
control = 40 * float((log_mel(samples[:both]) - log_mel(other[:both])).abs().mean())
for name, distance in (
    ("128 bands", kept.distance),
    ("8 bands", coarse.distance),
    ("another clip", control),
):
    print(f"{name:14}{distance:6.1f} dB")

# %% [markdown]
# ## Frames to tokens
#
# The encoder's second convolution steps over two mel frames, and a pool at the end averages pairs. Watch the real ones:

# %%
encoder = AudioChat.from_pretrained("mini").model.audio_encoder
with torch.no_grad():
    encoder_frames = encoder.conv_stem(log_mel(samples)[None])
    audio_tokens = encoder(log_mel(samples)[None], torch.tensor([frames]))
print("conv1", tuple(encoder.conv1.weight.shape), "stride", encoder.conv1.stride)
print("conv2", tuple(encoder.conv2.weight.shape), "stride", encoder.conv2.stride)
print(f"{frames} mel frames -> {tuple(audio_tokens.shape)} audio tokens")

# %% [markdown]
# Now the signature result. A mel frame for each **started** hop; a convolution with kernel 3, stride 2 and padding 1;
# an average over pairs. Write down the counts for **any** number of samples; the check tries every length up to 30 s.


# %% exercise="01.lengths"
def counts(samples):
    """(mel frames, encoder frames, audio tokens) of a clip of so many samples."""
    # SOLUTION
    mel_frames = -(-samples // 160)
    encoder_frames = (mel_frames + 1) // 2
    return mel_frames, encoder_frames, encoder_frames // 2
    # STUB
    # return None  # three whole numbers
    # END


check("01.lengths", counts)

# %% [markdown]
# The same from the package, for lengths where rounding shows:

# %%
print("seconds   samples   mel  encoder  tokens")
for n in (160, 320, 321, 640, 960, 961, 16_000, 16_001, len(samples), 480_000):
    f = lengths.mel_frames(n)
    print(f"{n / 16_000:7.4f}{n:10,}{f:6}{lengths.encoder_frames(f):9}{lengths.audio_tokens(f):8}")

# %% [markdown]
# Is it arithmetic only, or what the layers do? Every count of mel frames goes through a convolution and a pool on
# torch's `meta` device, which computes shapes without numbers; every count of samples is thinned out to hops.

# %%
conv = torch.nn.Conv1d(1, 1, kernel_size=3, stride=2, padding=1, device="meta")
pool = torch.nn.AvgPool1d(2)
for f in range(3, 3001):
    halved = conv(torch.empty(1, 1, f, device="meta"))
    assert halved.shape[-1] == lengths.encoder_frames(f)
    assert pool(halved).shape[-1] == lengths.audio_tokens(f)
assert all(len(range(0, n, 160)) == lengths.mel_frames(n) for n in range(1, 480_001))
print("every length agrees; fewest samples for one token:", lengths.MIN_SAMPLES)

# %% [markdown]
# **Baseline.** "25 tokens a second" leaves the rounding open. **Predict** for how many of the 480,000 lengths each
# rounding is wrong. A prompt with one placeholder too many or too few is refused, so "almost" is not good enough.

# %%
n = np.arange(1, 480_001)
due = lengths.tokens_of_samples(n)
for name, guess in (
    ("down", n // 640),
    ("to the nearest", np.round(n / 640)),
    ("up", -(-n // 640)),
):
    print(f"n / 640 rounded {name:16}wrong for {(guess != due).sum():7,} lengths")
print("the nearest fails at halves:", n[np.round(n / 640) != due][:4] / 640)

# %% [markdown]
# ## What a token has heard
#
# A token stands for 40 ms. It reads more: two convolutions and the pool reach over 7 mel frames, whose windows overlap.
# And through the encoder's attention it knows the whole clip (lesson 02). The token is the one that you clicked in the
# first player; run this cell again after another click. In the player, keys 1, 2 and 3 sound the three spans.

# %%
token = player.token if player.token is not None else lengths.tokens_of_samples(len(samples)) // 2
for name, (start, stop) in {
    "stands for": lengths.token_span(token),
    "reads": lengths.token_receptive_field(token),
    "knows of": lengths.token_context(token, len(samples), 480_000),
}.items():
    print(f"token {token} {name:11}{start / 16_000:7.4f} to {stop / 16_000:.4f} s", end="")
    print(f", {(stop - start) / 16:6.1f} ms")
show_player(waveform, token=token)

# %% [markdown]
# **Limits.** Griffin-Lim is one guess at the lost phases; a trained vocoder sounds better from the same picture, so the
# buzz you hear is partly its own. The distance in dB is no judgement of an ear. The floor follows the loudest
# bin: one loud click hides what is more than 80 dB below it.
#
# **Where in the source:** `audio/mel.py`, `lengths.py`, `model/audio_encoder.py` (`conv_stem`, `pool`),
# `inspection/front_end.py`. **Where in the paper:** section 2, "Model Architecture": 16 kHz, 128 mel channels,
# windows of 25 ms, hop 10 ms, a pool of stride 2, about 40 ms for each frame of the encoder's output.
