"""Text in and out: the tokenizer and the chat format with its audio placeholders."""

from q2a_core.text.chat import (
    ChatFormat,
    Dialogue,
    expand_placeholders,
    system_message,
    user_message,
)
from q2a_core.text.stream_decoder import StreamDecoder
from q2a_core.text.tokenizer import Tokenizer

__all__ = [
    "ChatFormat",
    "Dialogue",
    "StreamDecoder",
    "Tokenizer",
    "expand_placeholders",
    "system_message",
    "user_message",
]
