"""The colours that figures share: dark enough on white, told apart in grey and by the colour-blind."""

TEAL, AMBER, GREY, VIOLET = "#0f766e", "#b45309", "#6b7280", "#7c3aed"
COLOUR_MAP = "magma"
"""Rises in brightness from end to end, so it reads in grey and for the colour-blind."""
SIGNED_COLOUR_MAP = "PuOr"
"""For values around 0, white in the middle."""
