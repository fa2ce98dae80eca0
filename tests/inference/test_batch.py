"""Many prompts as one batch: each row ends where its prompt ends."""

from q2a_core.inference.batch import pad_left


def test_rows_end_together_and_the_mask_says_where_they_begin():
    batch = pad_left([[5, 6, 7], [8], [9, 10]])
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [0, 0, 1], [0, 1, 1]]
    assert batch["input_ids"][batch["attention_mask"].bool()].tolist() == [5, 6, 7, 8, 9, 10]
