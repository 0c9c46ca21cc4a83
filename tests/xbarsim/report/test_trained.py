"""The table of a training."""

from xbarsim.report.trained import trained_table
from xbarsim.training.resume import Epoch

ABOUT = {"network": "mine.py:net", "method": "one-shot", "seed": "3", "data": "digits, 9 images"}


def test_a_training_is_told_in_a_row():
    history = [Epoch(epoch=n, loss=1 / n, learning_rate=0.1, seconds=1.5) for n in (1, 2)]
    table = trained_table(ABOUT | {"faults": "1 % stuck cells"}, history, 9, 12, "w.safetensors")
    assert table.title == "mine.py:net, one-shot (1 % stuck cells), seed 3"
    assert table.rows == (("2", "0.5000", "3", "12", "9", "75.00%"),)
    assert table.note == "Data: digits, 9 images. Wrote w.safetensors."


def test_no_epochs_have_no_loss():
    table = trained_table(ABOUT, [], 0, 12, "w.safetensors")
    assert table.title == "mine.py:net, one-shot, seed 3" and table.rows[0][:2] == ("0", "-")
