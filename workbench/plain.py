"""Text that a user or a model wrote, escaped before it meets Markdown.

A clip's name or a reply may not become a link, a picture fetched from elsewhere, or a heading.
"""

import re

JOINER = "\u2060"
"""Invisible; it keeps apart what Streamlit looks for after the escapes are gone."""
PARTS = re.compile(
    r":(?=\w|\\/)"  # icons, emoji, addresses of the web
    r"|@(?=\w|\\[-_])|www(?=\\\.)"  # of mail, and of the web without https
    r"|(?<!\S)\\[-<>~](?=\\[-<>=])",  # arrows and the like, as "->"
    re.IGNORECASE,
)
"""What such a thing begins with, escaped."""
INDENT = re.compile(r"(?<=\n)[ \t]+")
"""After an empty line it would make code of the rest."""


def plain(text: str) -> str:
    """Text as Markdown that shows exactly this text."""
    escaped = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)
    apart = PARTS.sub(lambda part: part.group() + JOINER, escaped)
    kept = INDENT.sub(lambda blank: "\u00a0" * len(blank.group()), apart)
    return kept.replace("\n", "  \n")
