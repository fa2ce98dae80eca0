"""What a reply quotes from a clip, and how close that is to what was said there.

The judge reads a reply's own words apart from those that it only quotes: "You said: dog." names no dog.
"""

import re

YOU_SAID = r"\b(?:you said|du sagst)\b\s*[:,]?|你说\s*[：:，,]?"
SAYING = r"\b(?:says|said|say|saying|is|are|sagt|heißt)\b|说|是"
TELLING = (
    r"\b(?:says|said|say|saying|sagt|heißt|(?:answers?|words?|phrase|sentence) (?:is|are))\b|说|是"
)
CARRIERS = re.compile(
    rf"(?:{YOU_SAID})\s*[\"'“„‘«「]?|(?:{SAYING})\s*(?:[:：]|[:：,，]?\s*[\"“„«「])", re.IGNORECASE
)
"""What comes before a quote that is marked as one: "You said", or a verb with a colon or a quotation mark."""
BARE_CARRIERS = re.compile(rf"{YOU_SAID}|{TELLING}", re.IGNORECASE)
"""What may come before one that is not."""
ENDS = re.compile(r"[.!?。！？]")
MARKS = "\"'“”„‚‘’«»「」 "


def plain(text: str) -> str:
    """Lower case, words and digits only, single spaces; Chinese characters stand as they are."""
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def split_quote(reply: str) -> tuple[str, str | None]:
    """A reply's own words, and what it quotes: from the first carrier to the end of the sentence; None without one."""
    carrier = CARRIERS.search(reply)
    if carrier is None or not plain(reply[carrier.end() :]):
        return reply, None
    stop = _end_of_sentence(reply, carrier.end())
    quote = reply[carrier.end() : stop].strip(MARKS)
    return f"{reply[: carrier.end()]} {reply[stop:]}", quote


def transcripts(reply: str) -> list[str]:
    """What a reply may have meant as what was said: all of it, or what follows a word that goes before a quote."""
    found = [reply]
    for carriers in (CARRIERS, BARE_CARRIERS):
        for carrier in carriers.finditer(reply):
            found.append(reply[carrier.end() : _end_of_sentence(reply, carrier.end())])
    return found


def _end_of_sentence(reply: str, start: int) -> int:
    end = ENDS.search(reply, start)
    return end.start() if end else len(reply)


def without(reply: str, words: str) -> str:
    """A reply less every place where it repeats these words; a single word is left, it may be the reply's own."""
    said, quoted = f" {plain(reply)} ", plain(words)
    return said.replace(f" {quoted} ", " ") if len(quoted.split()) > 1 else said


def misheard_words(truth: str, heard: str) -> tuple[int, int]:
    """Words that are wrong, missing or too many (characters in Chinese), and how many there are to hear."""
    import jiwer

    wanted, found = _units(plain(truth)), _units(plain(heard))
    if not wanted:
        return len(found), 0
    done = jiwer.process_words(" ".join(wanted), " ".join(found))
    return done.substitutions + done.deletions + done.insertions, len(wanted)


def _units(text: str) -> list[str]:
    """Words; Chinese characters one by one."""
    return "".join(f" {c} " if "\u4e00" <= c <= "\u9fff" else c for c in text).split()
