"""RUN/train/training.html: the page of a training, from the tables that it left. It can be made at any time."""

from pathlib import Path

from gristmill.corpus.files import write_text
from gristmill.trainer.alarm_bounds import AlarmBounds

PAGE_FILE = "training.html"  # not in the training's receipt: it is made of files that are


def write_training_page(run: Path, bounds: AlarmBounds) -> Path:
    """Write the page of a run's training, finished or as far as its last checkpoint.

    Raises
    ------
    StoreError : the training has not come as far as a checkpoint
    """
    from gristmill.data_cards.render import render_training
    from gristmill.data_cards.training_tables import read_training

    path = run / "train" / PAGE_FILE
    write_text(path, render_training(read_training(run, bounds)))
    return path
