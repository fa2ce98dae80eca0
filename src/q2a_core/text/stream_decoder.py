"""Text of ids that arrive one by one."""

from q2a_core.text.tokenizer import Tokenizer


class StreamDecoder:
    """Turns ids that arrive one by one into text pieces, holding back characters whose bytes are not complete."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self.ids: list[int] = []
        self.done = 0  # characters already handed out
        self.start = 0  # first id that is decoded again

    def push(self, token_id: int) -> str:
        """The text that `token_id` completes, perhaps empty."""
        self.ids.append(token_id)
        text = self.tokenizer.decode(self.ids[self.start :])
        # a tail of bytes that may become a character reads as one U+FFFD; everything before it is settled
        settled = len(text) - text.endswith("\ufffd")
        piece, self.done = text[self.done : settled], max(settled, self.done)
        # keep the cost of a step constant
        if settled == len(text) and len(self.ids) - self.start > 16:
            self.start, self.done = len(self.ids), 0
        return piece

    def finish(self) -> str:
        """Whatever is still held back."""
        text = self.tokenizer.decode(self.ids[self.start :])
        piece, self.done = text[self.done :], len(text)
        return piece
