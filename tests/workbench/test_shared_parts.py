"""What the pages share: the error boundary, jobs in threads, and what a tab remembers."""

import weakref

import pytest
from streamlit.runtime.scriptrunner import RerunException, StopException
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData

from q2a_core.errors import Q2AError

pytestmark = pytest.mark.usefixtures("workbench")


class Place:
    """Where a page would say it."""

    def __init__(self):
        self.said = []

    def error(self, text: str) -> None:
        self.said.append(text)


def test_a_mistake_becomes_a_sentence():
    from guarded import told

    place = Place()
    with told(place):
        raise Q2AError("cut it")
    assert place.said == ["cut it"]


@pytest.mark.parametrize("control", [StopException(), RerunException(RerunData())])
def test_a_stop_and_a_rerun_are_no_mistakes(control):
    from guarded import told

    place = Place()
    with pytest.raises(type(control)), told(place):
        raise control
    assert not place.said


def test_a_tab_keeps_its_model_while_others_load_theirs():
    import model_state
    from state import Session

    tab = Session(source="mini", has_painted=True)
    mine = weakref.ref(tab.load())
    for number in range(model_state.MODELS_KEPT + 1):
        model_state.load_model(f"no-such-{number}")
    assert mine() is not None
    assert tab.load() is mine()
    assert model_state.load_model("mini") is mine(), "and others find it"
    forgotten = mine()
    model_state.forget_model(forgotten)
    assert tab.load() is not forgotten


def test_a_job_is_ready_with_a_result_and_not_with_an_error():
    from job import Job

    good, bad = Job(), Job()
    assert not good.is_ready
    good.start(lambda: 7, name="good")
    bad.start(lambda: 1 // 0, name="bad")
    assert good.future.result(timeout=60) == 7
    assert isinstance(bad.future.exception(timeout=60), ZeroDivisionError)
    assert good.is_ready
    assert not bad.is_ready


def test_what_was_set_last_is_remembered():
    from remembered import Remembered

    kept = Remembered(2)
    for key, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        kept[key] = value
    assert kept == {"a": 3, "c": 4}
    assert kept.once("c", lambda: 5) == 4
    assert kept.once("d", lambda: 6) == 6
    assert list(kept) == ["c", "d"]
