"""[trainer] as version 0.1 had it, flat: what its keys are called now, and the tables that they become."""

from collections.abc import Mapping
from typing import Any

_OF_MODEL = ("layers", "width", "heads", "experts", "expert_width", "shared_experts", "top_k", "score", "dropout")
FORMER: Mapping[str, str] = {
    **{key: f"{key} in [trainer.model]" for key in _OF_MODEL},
    "balance_rate": "the strength of a balance by name, such as bias = 0.01 in [trainer.balance]",
    "z_loss": "z in [trainer.balance]",
}


def renewed(table: Mapping[str, Any]) -> dict[str, Any]:
    """[trainer] of a run made by version 0.1 as it is written now; any other table as it is.

    >>> renewed({"layers": 2, "balance": "switch", "z_loss": 0.1, "batch_rows": 4})
    {'batch_rows': 4, 'model': {'layers': 2}, 'balance': {'switch': 0.01, 'z': 0.1}}
    """
    if not {*FORMER, "balance"} & table.keys() or isinstance(table.get("balance"), Mapping):
        return dict(table)
    rest = {key: value for key, value in table.items() if key not in FORMER and key != "balance"}
    name, rate = table.get("balance", "bias"), table.get("balance_rate", 0.01)
    weights = {name: rate, "z": table.get("z_loss", 0.0)}
    model = {key: table[key] for key in _OF_MODEL if key in table}
    return rest | {"model": model, "balance": {key: value for key, value in weights.items() if value and key != "none"}}
