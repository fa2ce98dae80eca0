"""The chat suites for an outside judge: each reply with its question, the true answer, and the clip told in words.

What AIR-Bench gives GPT-4 as meta information is here the scene's own truth.
"""

from collections.abc import Mapping

from q2a_core.evaluation.external_judge import JudgeItem
from q2a_core.evaluation.items import Item
from q2a_core.evaluation.mini_suite import Answered
from q2a_core.evaluation.mini_suites import CHAT
from q2a_core.world.answers import caption, music_answer, speaker_answer
from q2a_core.world.scene import Scene

NO_QUESTION = "(No text: the clip itself speaks to the assistant, or is to be described.)"
"""What stands for the question in voice chat."""


def judge_items(answered: Mapping[str, Answered]) -> list[JudgeItem]:
    """Items for `mark_items` from suites with their replies; other suites than the chat ones are left out."""
    return [
        _item(name.removeprefix(CHAT), item, reply)
        for name, pairs in answered.items()
        if name.startswith(CHAT)
        for item, reply in pairs
    ]


def _item(category: str, item: Item, reply: str) -> JudgeItem:
    texts = [part.get("text") for part in item.task.prompt[-1]["content"]]
    return JudgeItem(
        name=f"{category} {item.scene.index}",
        category=category,
        description=describe(item.scene),
        question=next((text for text in texts if text), NO_QUESTION),
        reference=item.task.answer,
        reply=reply,
    )


def describe(scene: Scene) -> str:
    """A clip in words, for a judge that cannot hear it: what sounds in which order, what is said and how."""
    parts = [caption(scene)]
    speech, music = scene.first("speech"), scene.first("music")
    if speech is not None:
        parts.append(f'The words are: "{speech.label}".')
        spoken = speech.spoken
        if spoken is not None and spoken.trait:
            parts.append(speaker_answer(scene))
        if spoken is not None and spoken.emotion != "neutral":
            parts.append(f"The voice expresses {spoken.emotion}.")
        if spoken is not None:
            parts += [
                f'In the language {code} that is: "{text}".' for code, text in spoken.translations
            ]
    if music is not None and music.tune is not None:
        parts.append(music_answer(music.tune))
    if scene.background is not None:
        parts.append(f"In the background there is {scene.background} noise.")
    return " ".join(parts)
