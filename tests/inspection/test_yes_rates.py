"""Yes against No at the first token, over things that are there and that are not."""

import numpy as np
import pytest

from q2a_core.inference import AudioChat
from q2a_core.inspection.yes_rates import NO, YES, YesRates, yes_rates
from q2a_core.world.absent_things import things_asked


def test_belief_is_the_model_s_own_probability():
    chat = AudioChat.from_pretrained("mini-sft")
    things = things_asked(6)
    found = yes_rates(chat, things)
    assert found.absent.shape == found.present.shape == (3,)
    tokenizer = chat.checkpoint.chat_format.tokenizer
    yes, no = (tokenizer.encode(text)[0] for text in (YES, NO))
    assert yes != no
    reply = chat.fork().ask(
        things[1].samples, things[1].question, sample_rate=16_000, max_new_tokens=4
    )
    likelier = {yes: True, no: False}[reply.token_ids[0]]
    assert likelier == (found.present[0] > 0.5)


def test_rates_count_the_likelier_word():
    rates = YesRates(absent=np.array([0.1, 0.6, 0.2, 0.4]), present=np.array([0.9, 0.4]))
    assert rates.false_yes == 0.25
    assert rates.true_yes == 0.5
    assert rates.right == pytest.approx(4 / 6)


def test_one_kind_alone_is_refused():
    chat = AudioChat.from_pretrained("mini-sft")
    with pytest.raises(ValueError, match="0 of 2 things are there"):
        yes_rates(chat, things_asked(4)[::2])
