"""What was said about a clip, turn by turn, with one checkpoint."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from explain import explain
from q2a_core.audio import Waveform
from q2a_core.inspection.trace import describe_decoding

if TYPE_CHECKING:
    from q2a_core.inference import AudioChat, Reply


@dataclass(kw_only=True)
class Turn:
    """One question and what came of it."""

    text: str | None
    clip: str | None
    reply: "Reply | None" = None
    error: str | None = None
    is_cut: bool = False
    """Whether the visitor went on before the reply had ended."""


@dataclass
class Conversation:
    """What was said about one clip with one checkpoint."""

    chat: "AudioChat"
    turns: list[Turn] = field(default_factory=list)

    @property
    def holds_clip(self) -> bool:
        """Whether the clip is in the conversation; it is sent once, and later questions go on about it."""
        return any(turn.clip and turn.reply for turn in self.turns)

    def restart(self) -> None:
        self.chat.reset()
        self.turns.clear()

    def answer(
        self, turn: Turn, waveform: Waveform | None, *, split: bool
    ) -> Generator[str, None, None]:
        """Pieces of the reply; however it ends, the turn then holds the reply or the reason why there is none."""
        self.turns.append(turn)
        self.chat.last_reply = None
        cut = "window" if split else None
        try:
            with closing(self.chat.stream(waveform, turn.text, split=cut)) as pieces:
                yield from pieces
        except GeneratorExit:
            turn.is_cut = True
            raise
        except Exception as error:
            turn.error = explain(error)
        finally:
            turn.reply = self.chat.last_reply


def reply_line(conversation: Conversation, reply: "Reply") -> str:
    """Whose reply it is and how it was made, in one line."""
    checkpoint, timings = conversation.chat.checkpoint, reply.timings
    return (
        f"{checkpoint.name} {checkpoint.hash} · {describe_decoding(reply.settings, reply.seed)} · "
        f"confidence {reply.confidence:.0%} · first token {timings.time_to_first_token:.2f} s, "
        f"{timings.tokens_per_second:.0f} tokens/s"
    )
