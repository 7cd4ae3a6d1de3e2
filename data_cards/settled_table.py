"""What settling the biases behind the last step did to the load of each layer, as a table of card and training page."""

from gristmill.data_cards.page import Table
from gristmill.data_cards.wording import number
from gristmill.trainer.training_summary import Settled


def settled_table(settled: Settled | None) -> list[Table]:
    """Standard deviations of the load, before and after; empty where nothing was settled."""
    if settled is None:
        return []
    rows = [
        (str(layer), *map(number, (one.heldout_before, one.heldout_after, one.rows_before, one.rows_after)))
        for layer, one in enumerate(settled.layers)
    ]
    columns = ("layer", "held-out rows before", "after", "rows settled on before", "after")
    title = (
        "Standard deviation of the load, before and after biases were settled behind the last step on "
        f"{number(settled.rows)} of its rows"
    )
    return [Table(columns, rows, title)]
