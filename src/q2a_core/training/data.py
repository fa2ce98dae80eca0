"""What a stage learns from: the corpus of its world, level and wording, and held-out clips to listen to."""

from q2a_core.progress import OnProgress, unheard
from q2a_core.text import ChatFormat
from q2a_core.training.batches import CorpusBatches
from q2a_core.training.stages import StageConfig
from q2a_core.world.corpus import Corpus, Example
from q2a_core.world.speech import UtteranceBook, open_or_build
from q2a_core.world.speech.voices import Split

HELD_OUT_UTTERANCES = 60
"""Phrases behind the clips that are decoded while training."""
PREFERENCE_SEED = 40_000
"""Keeps their scenes apart from those of the other stages."""
SAMPLES = 4
"""Held-out clips that are decoded while training."""


def training_batches(
    stage: StageConfig, chat_format: ChatFormat, *, on_speech: OnProgress = unheard
) -> tuple[CorpusBatches, str]:
    """The stage's training steps, and the hash of the speech in them; speaks the utterances if need be."""
    book = open_or_build(
        "train",
        count=stage.utterances,
        seed=stage.seed,
        level=stage.level,
        engines=stage.engines,
        on_progress=on_speech,
    )
    batches = CorpusBatches(
        _corpus(stage, book, "train"),
        chat_format,
        batch_size=stage.batch_size,
        accumulate=stage.accumulate,
        seed=stage.seed,
    )
    return batches, book.hash


def preference_corpus(stage: StageConfig, *, on_speech: OnProgress = unheard) -> Corpus:
    """Training scenes that no other stage draws, asked as in fine-tuning: what the model's own replies are about."""
    book = open_or_build(
        "train",
        count=stage.utterances,
        seed=stage.seed,
        level=stage.level,
        on_progress=on_speech,
    )
    return Corpus(
        book, "train", seed=PREFERENCE_SEED + stage.seed, level=stage.level, stage="sft", ramp=0
    )


def held_out_examples(stage: StageConfig, *, count: int = SAMPLES) -> list[Example]:
    """The first clips of the test split, asked as the stage asks."""
    book = open_or_build("test", count=HELD_OUT_UTTERANCES, seed=stage.seed, level=stage.level)
    corpus = _corpus(stage, book, "test")
    return [corpus.example(index) for index in range(count)]


def _corpus(stage: StageConfig, book: UtteranceBook, split: Split) -> Corpus:
    """One typed question to a clip up to pre-training, all that people do afterwards."""
    return Corpus(
        book,
        split,
        seed=stage.seed,
        level=stage.level,
        stage="pretrain" if stage.name in ("start", "pretrain") else "sft",
        tags=stage.prompts == "tags",
        ramp=stage.ramp,
    )
