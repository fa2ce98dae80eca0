"""Widgets of the lessons: the player of a clip, a recorder, and knobs that redraw a picture.

Each has a static picture and its text in the same output, for viewers without JavaScript. Nothing is fetched.
"""

from q2a_core.teaching.widgets.front_end_knobs import front_end_knobs
from q2a_core.teaching.widgets.knobs import Knobs
from q2a_core.teaching.widgets.player import FramedPlayer, show_player

__all__ = ["FramedPlayer", "Knobs", "front_end_knobs", "show_player"]
