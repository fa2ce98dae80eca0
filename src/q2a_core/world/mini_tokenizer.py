"""The mini models' tokenizer: trained once on the world's text, then fixed and shipped.

    python -m q2a_core.world.mini_tokenizer data_samples/tokenizer/tokenizer.json

writes the same file again.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from q2a_core import paths
from q2a_core.presets import MINI_VOCAB_SIZE
from q2a_core.text import ChatFormat, Tokenizer
from q2a_core.text.chat import MINI_TEMPLATE
from q2a_core.text.special_tokens import AUDIO_TOKEN, SPECIAL_TOKENS
from q2a_core.text.tokenizer_training import train_tokenizer
from q2a_core.world.first_world.tasks import all_texts
from q2a_core.world.tokenizer_text import tokenizer_text


def build_mini_tokenizer() -> Tokenizer:
    """Train it from the world's text."""
    return train_tokenizer(_lines(), vocab_size=MINI_VOCAB_SIZE)


def mini_chat_format() -> ChatFormat:
    """The shipped tokenizer with the mini template."""
    tokenizer = Tokenizer.from_directory(paths.data_samples() / "tokenizer")
    return ChatFormat(tokenizer, MINI_TEMPLATE, audio_token_id=SPECIAL_TOKENS.index(AUDIO_TOKEN))


def _lines() -> Iterator[str]:
    yield from tokenizer_text()
    for text in all_texts():
        yield from [text] * 20


def main(target: str) -> None:
    """Write `tokenizer.json`."""
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(build_mini_tokenizer().to_json(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(sys.argv[1])
