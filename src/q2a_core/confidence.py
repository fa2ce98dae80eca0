"""What a face says of how sure a reply is. Needs no torch, so that recorded replies are drawn before it is there."""

LOW_CONFIDENCE = 0.6
"""Below this confidence a reply may be a guess."""
CAVEAT = (
    "Confidence is about the words of the reply, not about whether the question was understood."
)


def doubt(confidence: float) -> str:
    """A sentence, without its capital and full stop, where a reply may be a guess; else ""."""
    if confidence >= LOW_CONFIDENCE:
        return ""
    return f"low confidence ({confidence:.0%}): this may be a guess"
