"""Scoreboard: the mini Table 2 beside the paper's, every example with its judge, and how fast all of it is."""

import frame
import scoreboard_panel
import state

TEXT = frame.PageText(
    see=(
        "What each shipped checkpoint scored on held-out voices, sentences, sounds and rooms, with 95 % intervals. "
        "Beside each figure stands the same suite with the clips swapped: what one scores who answers from the "
        "question alone."
    ),
    attempt=(
        "Find a suite where pre-training is better than fine-tuning, and see whether the intervals overlap. Then look "
        "through the wrong replies: are they wrong, or is the judge? Hear the clip before you decide."
    ),
    why=(
        "A figure from a sample of clips is an estimate: the interval says how much it would move with other clips. "
        "The control tells listening from guessing. And a mean hides what kind of mistakes were made; only examples "
        "show that."
    ),
    limits=(
        "The paper's figures are of real recordings and other test sets: they stand there to show what is measured, "
        "not to be compared with. The judge compares words with the scene's truth; it knows the mini model's plain "
        "English and can be wrong about anything else."
    ),
)

frame.top("Scoreboard", "How good, how sure, and which mistakes: all checkpoints.", TEXT)
scoreboard_panel.scoreboard(state.session())
