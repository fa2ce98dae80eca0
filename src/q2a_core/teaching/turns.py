"""A dialogue as the model reads it, cut into its turns: who speaks, and the tokens of the whole turn as text."""

from collections.abc import Sequence
from dataclasses import dataclass

from q2a_core.text import ChatFormat
from q2a_core.text.chat import Message

START = "<|im_start|>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One turn, from its start token to the line break after its end token."""

    role: str
    """system, user or assistant."""
    pieces: tuple[str, ...]
    """Its tokens as text."""
    mask: tuple[bool, ...]
    """Which of them training puts a loss on."""


def turns_of(
    messages: Sequence[Message], chat_format: ChatFormat, token_counts: Sequence[int]
) -> list[Turn]:
    """The turns of a dialogue that ends with the assistant; `token_counts` lists the audio tokens of each clip.

    Raises ChatError as `ChatFormat.dialogue` does.
    """
    dialogue = chat_format.dialogue(messages, token_counts)
    pieces = [chat_format.tokenizer.piece(token) for token in dialogue.input_ids]
    starts = [place for place, piece in enumerate(pieces) if piece == START]
    turns = []
    for first, last in zip(starts, [*starts[1:], len(pieces)], strict=True):
        header = pieces[first + 1 : first + 1 + pieces[first + 1 : last].index("\n")]
        turns.append(
            Turn(
                role="".join(header),
                pieces=tuple(pieces[first:last]),
                mask=tuple(dialogue.loss_mask[first:last]),
            )
        )
    return turns
