"""Text that a user or a model wrote, escaped before it meets Markdown.

A clip's name or a reply may not become a link, a picture fetched from elsewhere, or a heading.
"""

import re


def plain(text: str) -> str:
    """Text as Markdown that shows exactly this text."""
    escaped = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)
    # icons and emoji are looked for after the escapes are gone: an invisible joiner keeps their names apart
    return re.sub(r":(?=\w)", ":\u2060", escaped).replace("\n", "  \n")
