"""Looking inside: recorded and live traces, figures and the player. Importing it needs neither torch nor matplotlib."""

from q2a_core.inspection.figures.clip import figure_clip, figure_map
from q2a_core.inspection.gallery import Sample, read_gallery, record_gallery, recorded_trace
from q2a_core.inspection.player import NotebookPlayer, player_data, player_html
from q2a_core.inspection.trace import (
    ClipView,
    RecordedReply,
    Trace,
    read_trace,
    record_trace,
    view_clip,
    write_trace,
)

__all__ = [
    "ClipView",
    "NotebookPlayer",
    "RecordedReply",
    "Sample",
    "Trace",
    "figure_clip",
    "figure_map",
    "player_data",
    "player_html",
    "read_gallery",
    "read_trace",
    "record_gallery",
    "record_trace",
    "recorded_trace",
    "view_clip",
    "write_trace",
]
