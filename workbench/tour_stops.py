"""What the guided tour shows: a page, the panel that is outlined, the settings that open it, and what to try there."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Stop:
    """One panel and what there is to learn from it."""

    page: str
    """Title of the page; its file in `app_pages` has the same name in small letters."""
    key: str
    """Key of the container or widget that is outlined."""
    title: str
    text: str
    settings: dict[str, Any] = field(default_factory=dict)
    """Keys of `settings.kept` and the values that open the panel."""
    token: int | None = None
    """Audio token that is chosen in the player."""


STOPS = (
    Stop(
        page="Listen",
        key="clip_choice",
        title="A clip",
        text="Everything begins with a sound: one that ships, one of yours, or what the microphone hears. Press "
        "**Play** and follow the playhead.",
        settings={"clip_source": "Samples"},
    ),
    Stop(
        page="Listen",
        key="player",
        title="One audio token",
        text="Token 12 is chosen. Press the three brackets under it: its stride is too short to know anything by, what "
        "it reads is little more, and through attention it knows the whole clip.",
        token=12,
    ),
    Stop(
        page="Listen",
        key="questions",
        title="Ask about it",
        text="Send the clip alone and it is *voice chat*: the model answers what was said. Add a question and it is "
        "*analysis*. Nothing else switches the mode.",
    ),
    Stop(
        page="Listen",
        key="closer_panel",
        title="What a second costs",
        text="Move the slider: 25 tokens for each second, each with a key and a value in every layer. At 30 s the "
        "encoder's window is full.",
        settings={"closer": "Token budget"},
    ),
    Stop(
        page="Listen",
        key="closer_panel",
        title="What the model does not hear",
        text="Here are 16 mel bands instead of 128, and the sound that can be made of them. Is the word still there? "
        "Is the voice? Take the bands up again until both are.",
        settings={"closer": "Front-end lab", "lab_mels": 16, "lab_n_fft": 400, "lab_hop": 160},
    ),
    Stop(
        page="Listen",
        key="checkpoint",
        title="Another model",
        text="The same clip and the same question, with an earlier checkpoint: what did training add?",
    ),
    Stop(
        page="Attention",
        key="attention_pictures",
        title="What a word reads",
        text="Each small picture is one head. Click a word of the reply: its row is locked, and the bright places are "
        "the moments of the clip that it reads.",
        settings={"attention_part": "decoder"},
    ),
    Stop(
        page="Attention",
        key="attention_edit",
        title="Does it need them?",
        text="A bright place proves nothing. Here the range is overwritten with the clip's mean, and the reply is "
        "scored again beside random ranges. Press **What it reads most**.",
        settings={"attention_keep": False, "attention_fill": "mean"},
    ),
    Stop(
        page="Modes",
        key="modes_replies",
        title="Two modes, no switch",
        text="The same clip alone, with a written question, with a spoken one, and with both. Is it talked to, or "
        "examined? Only what you send decides.",
    ),
    Stop(
        page="Modes",
        key="modes_meter",
        title="Is it listening?",
        text="A reply that is as likely over silence was not heard but guessed. Find the words that need the clip.",
        settings={"modes_scored": "audio analysis"},
    ),
    Stop(
        page="Stages",
        key="stages_ask",
        title="What each stage added",
        text="Press **Ask all**. Then empty the question and ask again: the clip alone is what pre-training never "
        "taught.",
    ),
    Stop(
        page="Stages",
        key="stages_below",
        title="More than one clip",
        text="One clip is an anecdote. Here are all test clips with their intervals: which differences are left?",
        settings={"stages_part": "Over the whole test set"},
    ),
    Stop(
        page="Train",
        key="train_knobs",
        title="Train it yourself",
        text="Fine-tuning from the pre-trained checkpoint, in a minute or two. Start it, stop it, resume it: the curve "
        "goes on where it stood.",
        settings={"train_stage": "sft"},
    ),
    Stop(
        page="Preferences",
        key="preferences_choose",
        title="Which do you prefer?",
        text="Draw two replies, choose the better one, a dozen times. Your choices, not ours, are what DPO then learns "
        "from, on the right.",
    ),
    Stop(
        page="Scoreboard",
        key="scoreboard_panel",
        title="How good, how sure",
        text="Every figure has its interval, and a mark where the same suite lies with the clips swapped. What can be "
        "answered without ears?",
        settings={"scoreboard_part": "Mini Table 2"},
    ),
    Stop(
        page="Scoreboard",
        key="scoreboard_panel",
        title="The mistakes",
        text="A mean hides what went wrong. Jump to a wrong reply, hear the clip, and judge the judge.",
        settings={"scoreboard_part": "Example by example"},
    ),
    Stop(
        page="Kernel",
        key="kernel_view",
        title="Attention in tiles",
        text="This clip's own queries and keys, a tile at a time. Step on and watch a maximum grow: what was summed "
        "before shrinks by the factor beside it.",
        settings={"kernel_part": "Step by step", "kernel_step": 0},
    ),
    Stop(
        page="Kernel",
        key="kernel_view",
        title="Find the bug",
        text="This kernel is broken in one of five ways. The error's pattern tells which. Change the tile, pad the "
        "clip, and name it.",
        settings={"kernel_part": "Find the bug", "bug_seed": 1},
    ),
)
