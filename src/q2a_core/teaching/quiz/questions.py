"""The exit quiz as data: ten questions over the course, every option explained; figures come from the code."""

import math
from dataclasses import dataclass
from functools import cache

from q2a_core import lengths, presets


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One answer that can be chosen."""

    text: str
    why: str
    """Why it is right, or what mistake it is."""
    right: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One question with exactly one right option."""

    id: str
    lesson: str
    """Number of the lesson that answers it."""
    text: str
    options: tuple[Option, ...]


@cache
def questions() -> tuple[Question, ...]:
    """All questions, in the order of the lessons."""
    return (
        _tokens(),
        _field(),
        _padding(),
        _placeholders(),
        _cache(),
        _prompts(),
        _modes(),
        _dpo(),
        _causes(),
        _interval(),
    )


def _tokens() -> Question:
    seconds = 3
    samples = seconds * lengths.SAMPLE_RATE
    frames = lengths.mel_frames(samples)
    return Question(
        id="tokens",
        lesson="01",
        text=f"A clip lasts {seconds} seconds. How many audio tokens does the decoder read?",
        options=(
            Option(
                text=str(lengths.tokens_of_samples(samples)),
                why=f"{lengths.AUDIO_TOKEN_RATE} a second: mel frames, halved by the convolution, halved by the pool.",
                right=True,
            ),
            Option(
                text=str(lengths.encoder_frames(frames)),
                why="These are encoder frames; the pool halves them once more.",
            ),
            Option(text=str(frames), why="These are mel frames; the encoder halves them twice."),
            Option(text=str(seconds), why="One a second would be far too coarse for speech."),
        ),
    )


def _field() -> Question:
    def text(samples: int) -> str:
        return f"{1000 * samples / lengths.SAMPLE_RATE:g} ms"

    return Question(
        id="field",
        lesson="02",
        text="How much sound has one audio token heard when it leaves the encoder?",
        options=(
            Option(
                text="the whole clip, up to the window of 30 s",
                why="Encoder attention looks both ways, so every token knows of every frame.",
                right=True,
            ),
            Option(
                text=text(lengths.SAMPLES_PER_TOKEN),
                why="This is the step from one token to the next, not what it hears.",
            ),
            Option(
                text=text(lengths.RECEPTIVE_FIELD_SAMPLES),
                why="This is what convolutions and pool alone would read; attention comes between.",
            ),
            Option(
                text=text(lengths.N_FFT),
                why="This is the analysis window of a single mel frame.",
            ),
        ),
    )


def _padding() -> Question:
    return Question(
        id="padding",
        lesson="02",
        text="Two clips of different length are encoded in one batch without a padding mask. What happens?",
        options=(
            Option(
                text="the short clip's tokens change with the clip beside it",
                why="Its frames attend to padding, and how much padding there is depends on the neighbour.",
                right=True,
            ),
            Option(
                text="nothing, for padding is silence",
                why="A score of 0 is not a weight of 0: padded keys take their share of every softmax.",
            ),
            Option(
                text="the long clip's tokens change too",
                why="The longest clip has no padding, so it has nothing to mask.",
            ),
            Option(
                text="the model raises an error",
                why="Shapes agree with and without a mask; that is why this mistake stays unseen.",
            ),
        ),
    )


def _placeholders() -> Question:
    return Question(
        id="placeholders",
        lesson="03",
        text="What does the decoder get of the sound?",
        options=(
            Option(
                text="projected vectors, written over a run of placeholder tokens in the text",
                why="Afterwards the decoder sees one sequence of vectors and makes no difference.",
                right=True,
            ),
            Option(
                text="a transcript, as text",
                why="There is no transcript inside; that is how it can answer about sounds and voices.",
            ),
            Option(
                text="cross-attention to the encoder in every layer",
                why="Whisper's own decoder works so; here audio stands in the sequence itself.",
            ),
            Option(
                text="the log-mel picture",
                why="That is what the encoder reads; the decoder's width and rate are others.",
            ),
        ),
    )


def _cache() -> Question:
    decoder = presets.mini().decoder
    size = decoder.kv_bytes(1, itemsize=4)
    wide = size * decoder.num_heads // decoder.num_kv_heads
    return Question(
        id="cache",
        lesson="03",
        text=f"mini's decoder has {decoder.num_layers} layers, {decoder.num_heads} query heads that share "
        f"{decoder.num_kv_heads} key-value heads of {decoder.head_dim}. What does the cache keep of one position, "
        "in float32?",
        options=(
            Option(
                text=f"{size:,} bytes",
                why="Keys and values, in every layer, for the key-value heads alone.",
                right=True,
            ),
            Option(text=f"{size // 2:,} bytes", why="Keys alone; values are kept as well."),
            Option(
                text=f"{wide:,} bytes",
                why="Query heads counted; those that share keys share the cache.",
            ),
            Option(
                text=f"{size // decoder.num_layers:,} bytes",
                why="One layer; each layer keeps its own.",
            ),
        ),
    )


def _prompts() -> Question:
    return Question(
        id="prompts",
        lesson="04",
        text="Qwen2-Audio pre-trains with questions in plain language in place of tags. What does the paper show "
        "for it?",
        options=(
            Option(
                text="a claim of better generalisation, without a table that isolates it",
                why="So `q2a train pretrain --prompts tags` can make the pair that the paper left out.",
                right=True,
            ),
            Option(
                text="an ablation with both kinds of prompt",
                why="There is none in the paper; look for one before you quote it.",
            ),
            Option(
                text="that tags cannot name the task",
                why="They can, and its predecessor did; they only look unlike what a user asks.",
            ),
            Option(
                text="that fewer weights have to be trained",
                why="The paper does not say which weights train in which stage.",
            ),
        ),
    )


def _modes() -> Question:
    return Question(
        id="modes",
        lesson="05",
        text="How does the model know whether it should chat or analyse the clip?",
        options=(
            Option(
                text="from what it hears and reads; both modes were trained together",
                why="There is no switch. Lesson 05 looks for it with a probe, beside its shuffled control.",
                right=True,
            ),
            Option(
                text="from a system prompt for each mode",
                why="Both modes have the same system prompt.",
            ),
            Option(
                text="from a special token",
                why="The chat template has no token for it.",
            ),
            Option(
                text="from two sets of weights",
                why="One set of weights does both.",
            ),
        ),
    )


def _dpo() -> Question:
    start = math.log(2)
    return Question(
        id="dpo",
        lesson="06",
        text="What is the DPO loss before the first step, when policy and reference are the same model?",
        options=(
            Option(
                text=f"{start:.3f}",
                why="Both log-ratios are 0, and minus log sigmoid(0) is the logarithm of two, whatever beta is.",
                right=True,
            ),
            Option(text="0", why="A margin of 0 is a coin toss, not a solved pair."),
            Option(text="1", why="sigmoid(0) is a half, and its negative logarithm is not 1."),
            Option(
                text="it depends on beta",
                why="Beta multiplies a margin of 0; it matters from the first step on.",
            ),
        ),
    )


def _causes() -> Question:
    return Question(
        id="causes",
        lesson="07",
        text="Attention is bright on one second of the clip, and nothing else in the clip says the same. Replacing "
        "that second by the clip's mean leaves the reply as it was. What do you conclude?",
        options=(
            Option(
                text="the model looks there, but the answer does not depend on it",
                why="Where a model looks and what makes it answer are two maps; the edit is the causal one.",
                right=True,
            ),
            Option(
                text="the answer comes from that second",
                why="Then the edit would have changed it.",
            ),
            Option(
                text="attention maps are wrong",
                why="They show what they show: weights, not effects.",
            ),
            Option(
                text="the model does not listen at all",
                why="One second is not the clip; silence, noise and another clip in its place would test that.",
            ),
        ),
    )


def _interval() -> Question:
    right, asked = 18, 20
    low, high = _accuracy_interval(right, asked)
    return Question(
        id="interval",
        lesson="08",
        text=f"A model answers {right} of {asked} clips rightly. What do you write down?",
        options=(
            Option(
                text=f"{right / asked:.0%}, 95 % interval {low:.0%} to {high:.0%}, {asked} clips, and what swapped "
                "clips score",
                why="Other clips would have given another figure, and the control shows whether the sound mattered.",
                right=True,
            ),
            Option(
                text=f"{right / asked:.1%}",
                why="A decimal place that these few clips cannot carry, and no word of how it came about.",
            ),
            Option(
                text=f"{right / asked:.0%}, better than another model's {(right - 1) / asked:.0%}",
                why="One clip apart is well within the interval; compare on the same clips, with a paired test.",
            ),
            Option(
                text="nothing, for so few clips say nothing",
                why="They say what the interval says, which is enough to tell it from guessing.",
            ),
        ),
    )


def _accuracy_interval(right: int, asked: int) -> tuple[float, float]:
    from q2a_core.evaluation.metrics import accuracy

    score = accuracy([True] * right + [False] * (asked - right))
    return score.low, score.high
