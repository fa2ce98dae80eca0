"""The exit quiz in a notebook: radio buttons, an explanation of every option, the score at the end."""

import html
from typing import Any

import ipywidgets as widgets

from q2a_core.teaching.quiz.exit_quiz import LETTERS, explained, keep_answers, shuffled
from q2a_core.teaching.quiz.questions import Question, questions


class QuizWidget(widgets.VBox):
    """All questions under each other; where widgets are not drawn, the questions are shown as text."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.score = widgets.HTML()
        self.cards = [_Card(number, item, self) for number, item in enumerate(questions(), start=1)]
        super().__init__([*self.cards, self.score])
        self._show_score()

    def take(self, name: str, text: str) -> None:
        """Note an answer; with the last one the score is kept."""
        self.answers[name] = text
        self._show_score()

    def _show_score(self) -> None:
        left = len(questions()) - len(self.answers)
        if left:
            self.score.value = f"<i>{left} of {len(questions())} questions to go</i>"
            return
        result = keep_answers(self.answers)
        self.score.value = f"<b>{result} right.</b> Kept for your certificate if it is your best."

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: Any = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return {**data, "text/plain": self._text(), "text/html": self._html()}

    def _text(self) -> str:
        lines = []
        for number, item in enumerate(questions(), start=1):
            lines.append(f"{number}. {item.text}")
            lines += [f"   {a}) {o.text}" for a, o in zip(LETTERS, shuffled(item), strict=False)]
        return "\n".join([*lines, "Answer in the terminal: q2a lesson quiz"])

    def _html(self) -> str:
        return f"<pre>{html.escape(self._text())}</pre>"


class _Card(widgets.VBox):
    """One question; once it is answered it stays as it is."""

    def __init__(self, number: int, item: Question, quiz: QuizWidget):
        self.item, self.quiz = item, quiz
        self.choice = widgets.RadioButtons(
            options=[option.text for option in shuffled(item)],
            value=None,
            layout=widgets.Layout(width="max-content", max_width="100%"),
        )
        self.button = widgets.Button(description="Answer", disabled=True)
        self.verdict = widgets.HTML()
        self.choice.observe(self._chosen, names="value")
        self.button.on_click(self._answer)
        title = widgets.HTML(f"<b>{number}. {html.escape(item.text)}</b>")
        super().__init__([title, self.choice, self.button, self.verdict])

    def _chosen(self, _change: Any) -> None:
        self.button.disabled = self.choice.value is None

    def _answer(self, _button: Any) -> None:
        self.choice.disabled = self.button.disabled = True
        option = next(o for o in self.item.options if o.text == self.choice.value)
        rows = "".join(
            f"<tr><td>{mark}</td><td>{html.escape(text)}</td><td>{html.escape(why)}</td></tr>"
            for mark, text, why in explained(self.item, option)
        )
        said = "Right." if option.right else f"No. Lesson {self.item.lesson} shows it."
        self.verdict.value = f"<b>{said}</b><table>{rows}</table>"
        self.quiz.take(self.item.id, option.text)
