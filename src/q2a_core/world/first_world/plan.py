"""Who says what in the first world; it follows from (split, count, seed) alone."""

import numpy as np

from q2a_core.world.speech.sentences import SPOKEN_QUESTIONS, sample_sentence
from q2a_core.world.speech.utterances import SPLIT_SEEDS, Utterance
from q2a_core.world.speech.voices import Split, voices

QUESTION_SHARE = 0.2
RATES = (120, 220)
PITCHES = (20, 80)


def plan_first(split: Split, *, count: int, seed: int) -> list[Utterance]:
    """`count` utterances of a split of the first world.

    Voices come in shuffled rounds, so that all are heard equally often. A shorter plan with the
    same seed is the beginning of a longer one.
    """
    rng = np.random.default_rng([seed, SPLIT_SEEDS[split]])
    names = voices(split)
    questions = SPOKEN_QUESTIONS[split]
    order: list[int] = []
    plan = []
    for _ in range(count):
        if not order:
            order = rng.permutation(len(names)).tolist()
        if rng.random() < QUESTION_SHARE:
            text = questions[int(rng.integers(len(questions)))]
        else:
            text = sample_sentence(rng, split=split)
        rate = int(rng.integers(RATES[0], RATES[1] + 1))
        pitch = int(rng.integers(PITCHES[0], PITCHES[1] + 1))
        plan.append(Utterance(text=text, voice=names[order.pop()], rate=rate, pitch=pitch))
    return plan
