"""Preference pairs made in a notebook: hear a clip, read two replies of a checkpoint to it, press the better one.

The choices are `OwnPair`s, as the workbench's page Preferences makes them. Where no widget is drawn, the replies stand
there as text, and `choose` does what a button does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from q2a_core.audio.waveform import Waveform, wav_bytes
from q2a_core.training.preference.own_pairs import OwnPair, clip_name, two_replies

if TYPE_CHECKING:
    from q2a_core.inference import AudioChat

CHOSEN = "✔ "
"""Before a reply that was pressed: its shade alone is hard to see, and not told to a screen reader."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TwoReplies:
    """A clip and two different replies to it."""

    name: str
    waveform: Waveform
    prompt: str | None
    """What was typed; None for the clip alone."""
    texts: tuple[str, str]


class Chooser:
    """Clips with two replies each, and which of them was preferred so far."""

    def __init__(self, drawn: list[TwoReplies]):
        self.drawn = drawn
        self.better: dict[int, int] = {}
        """Place of a clip to 0 or 1."""

    @property
    def pairs(self) -> list[OwnPair]:
        """A pair for every choice."""
        return [
            OwnPair(
                clip=clip_name(self.drawn[place].waveform.samples),
                samples=self.drawn[place].waveform.samples,
                prompt=self.drawn[place].prompt,
                chosen=self.drawn[place].texts[better],
                rejected=self.drawn[place].texts[1 - better],
            )
            for place, better in sorted(self.better.items())
        ]

    def choose(self, place: int, better: int | None) -> None:
        """Prefer reply 0 or 1 to clip `place`, or neither. Raises ValueError for another number."""
        if better not in (0, 1, None) or not 0 <= place < len(self.drawn):
            raise ValueError(
                f"found clip {place} and reply {better}; expected one of {len(self.drawn)} clips, and 0, 1 or None"
            )
        if better is None:
            self.better.pop(place, None)
        else:
            self.better[place] = better

    def __repr__(self) -> str:
        lines = [f"{len(self.better)} of {len(self.drawn)} chosen"]
        for place, two in enumerate(self.drawn):
            asked = two.prompt or "the clip alone"
            replies = "   ".join(
                f"{'*' if self.better.get(place) == k else ''}{k} “{text}”"
                for k, text in enumerate(two.texts)
            )
            lines.append(f"{place}: {two.name}, {asked}: {replies}")
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle = self.widget()._repr_mimebundle_() or {}
        return {**bundle, "text/plain": repr(self)}

    def widget(self) -> Any:
        """An ipywidgets box; every call makes one of its own, all on the same choices."""
        import ipywidgets

        count = ipywidgets.Label(self._count())
        rows = [self._row(ipywidgets, place, count) for place in range(len(self.drawn))]
        return ipywidgets.VBox([*rows, count])

    def _row(self, widgets: Any, place: int, count: Any) -> Any:
        two = self.drawn[place]
        buttons = [
            widgets.ToggleButton(
                value=self.better.get(place) == k,
                description=CHOSEN * (self.better.get(place) == k) + text,
                tooltip=f"prefer this reply: {text}",  # all of it where a narrow page cuts it
                layout=widgets.Layout(width="auto", max_width="40em"),
            )
            for k, text in enumerate(two.texts)
        ]

        def pressed(change: dict[str, Any], k: int) -> None:
            other = buttons[1 - k]
            buttons[k].description = CHOSEN * change["new"] + two.texts[k]
            if change["new"]:
                other.value = False
                self.choose(place, k)
            elif not other.value:
                self.choose(place, None)
            count.value = self._count()

        for k, button in enumerate(buttons):
            button.observe(lambda change, k=k: pressed(change, k), names="value")
        sound = widgets.Audio(
            value=wav_bytes(two.waveform.samples), format="wav", autoplay=False, loop=False
        )
        head = widgets.Label(f"{two.name}, {two.prompt or 'the clip alone'}")
        side_by_side = widgets.HBox(buttons, layout=widgets.Layout(flex_flow="row wrap"))
        return widgets.VBox([head, sound, side_by_side])

    def _count(self) -> str:
        return (
            f"{len(self.better)} of {len(self.drawn)} chosen; press a reply again to take it back"
        )


def choose_replies(
    chat: "AudioChat",
    sounds: Mapping[str, Waveform],
    *,
    prompt: str | None = None,
    temperature: float = 1.3,
    seed: int = 0,
) -> Chooser:
    """Two different replies to each clip, to choose from; a clip to which all draws say the same is left out."""
    drawn = []
    for name, waveform in sounds.items():
        found = two_replies(chat, waveform, prompt, temperature=temperature, seed=seed)
        if found is not None:
            texts = found[0].text, found[1].text
            drawn.append(TwoReplies(name=name, waveform=waveform, prompt=prompt, texts=texts))
    return Chooser(drawn)
