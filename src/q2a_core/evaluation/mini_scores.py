"""How replies of the mini Table 2 are scored: by words, by labels, or by the judge, always against the scene."""

from collections.abc import Callable

from q2a_core.evaluation.bleu import bleu
from q2a_core.evaluation.metrics import Score, character_error_rate, mean, word_error_rate
from q2a_core.evaluation.mini_suite import Answered
from q2a_core.world.judge import WRONG_MAIN, judge

RIGHT = 2 * WRONG_MAIN
"""Judge's points above which a reply counts as right."""
ALL_RIGHT = 9.0
"""Points of a reply in which nothing is wrong."""


def rights(answered: Answered) -> list[bool]:
    """Which replies the judge takes for right."""
    return [judge(item.scene, item.task, reply).score > RIGHT for item, reply in answered]


def all_right(answered: Answered) -> list[bool]:
    """Which replies have nothing wrong: of a transcript every word."""
    return [judge(item.scene, item.task, reply).score >= ALL_RIGHT for item, reply in answered]


def kind_of_reply(reply: str) -> str:
    """What a reply does: acknowledges speech, answers yes or no, counts, or describes."""
    text = reply.lower()
    if text.startswith(("you said", "you sound", "du sagst")) or text.startswith("你说"):
        return "acknowledge"
    if text.startswith(("yes", "no,")):
        return "yes_no"
    if text.startswith("it happens"):
        return "count"
    if text.startswith("first i hear"):
        return "first"
    if text.startswith(("the speaker", "i hear only a voice")):
        return "person"
    return "describe"


def right_kinds(answered: Answered) -> list[bool]:
    """Which replies do what the true answer does."""
    return [kind_of_reply(r) == kind_of_reply(i.task.answer) for i, r in answered]


def says_yes(answered: Answered) -> list[bool]:
    """Which replies say yes."""
    return [reply.lower().startswith("yes") for _, reply in answered]


def judged(answered: Answered) -> Score:
    """The judge's mean."""
    return mean([judge(item.scene, item.task, reply).score for item, reply in answered])


def wer(answered: Answered) -> Score:
    """Word error rate of English."""
    return word_error_rate(_pairs(answered), language="en")


def cer(language: str) -> Callable[[Answered], Score]:
    """Character error rate of a language."""
    return lambda answered: character_error_rate(_pairs(answered), language=language)


def bleu_in(language: str) -> Callable[[Answered], Score]:
    """BLEU of translations into a language."""
    return lambda answered: bleu(_pairs(answered), language=language)


def _pairs(answered: Answered) -> list[tuple[str, str]]:
    return [(item.task.answer, reply) for item, reply in answered]
