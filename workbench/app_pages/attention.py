"""Attention: where every layer and head looks, word by word on the clip's time axis, and whether the reply needs it."""

import attention_panel
import frame
import panels
import state

session = state.session()
clip = frame.top(
    "Attention",
    "Where the model looks while it answers, and whether the answer needs what lies there.",
    attention_panel.TEXT,
    player=False,
)
question = attention_panel.question(session, clip)
panels.model_status(session)
if clip:
    attention_panel.look(session, clip, question)
