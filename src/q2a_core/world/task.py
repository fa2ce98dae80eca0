"""One dialogue about a clip: what is asked in each turn and what is true to answer, or a greeting without a clip."""

from dataclasses import dataclass

import numpy as np

from q2a_core.text import user_message
from q2a_core.text.chat import Message

GREETINGS = ("Hello", "Hello!", "Hi", "Hi!", "Good morning.", "Who are you?", "What can you do?")
GREETING_REPLY = "Hello! Play me a sound or say something."


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One dialogue about a scene."""

    name: str
    """What is asked for: one of `prompts.TASKS`."""
    messages: tuple[Message, ...]
    """User and assistant in turn; the last is the assistant's true answer."""
    earlier: tuple[str, ...] = ()
    """What the turns before the last ask for."""

    @property
    def turns(self) -> tuple[str, ...]:
        """What each turn asks for."""
        return (*self.earlier, self.name)

    @property
    def prompt(self) -> tuple[Message, ...]:
        """The dialogue up to the last answer."""
        return self.messages[:-1]

    @property
    def answer(self) -> str:
        """The last answer."""
        return str(self.messages[-1]["content"])


def compose(name: str, turn: tuple[str | None, str]) -> Task:
    """One turn about one clip, a question and its true answer; None is a clip without a word of text."""
    question, answer = turn
    asked = user_message(question, clips=1)
    return Task(name=name, messages=(asked, {"role": "assistant", "content": answer}))


def continued(task: Task, question: str, answer: str, *, name: str) -> Task:
    """`task`, then one more question about the same clip and its true answer."""
    turn = (user_message(question), {"role": "assistant", "content": answer})
    return Task(name=name, messages=(*task.messages, *turn), earlier=task.turns)


def greeting(rng: np.random.Generator) -> Task:
    """A turn without any clip."""
    hello = user_message(GREETINGS[int(rng.integers(len(GREETINGS)))])
    return Task(name="greet", messages=(hello, {"role": "assistant", "content": GREETING_REPLY}))
