"""Numbers in sentences: no minus before zero, and nouns that agree with their count."""


def counted(count: int, noun: str) -> str:
    """`1 tile`, `1,024 tiles`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def rounded(value: float, digits: int = 2) -> str:
    """A number with so many decimals; what rounds to zero has no minus."""
    return f"{round(float(value), digits) + 0.0:.{digits}f}"


def signed(value: float) -> str:
    """A difference with two decimals and its sign, a minus as it is printed; what rounds to zero has none."""
    text = f"{float(value):+.2f}".replace("-", "−")
    return text if text.strip("+−0.") else text[1:]
