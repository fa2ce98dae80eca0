"""Speech of the mini world: what is said, by whom and how, and the books in which it is kept once spoken.

lexicon, sentences*, questions_grown, translations, spelling   the words
voices*, prosody                                               who says them, and how they feel
utterances, levels                                             plans: who says what, by seed
espeak, espeak_process, recorded_voices                        the engines, each in a process of its own
utterance_book, books                                          spoken once, kept as int16
"""

from q2a_core.world.speech.books import book_directory, engine_version, open_or_build, speak
from q2a_core.world.speech.levels import plan_utterances
from q2a_core.world.speech.utterance_book import UtteranceBook, build_book
from q2a_core.world.speech.utterances import Utterance, plan_hash
from q2a_core.world.speech.voices import voices

__all__ = [
    "Utterance",
    "UtteranceBook",
    "book_directory",
    "build_book",
    "engine_version",
    "open_or_build",
    "plan_hash",
    "plan_utterances",
    "speak",
    "voices",
]
