"""``gristmill sweep``: one bound over a range of values, and what would be kept at each; from stored columns."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gristmill.corpus.errors import RecipeError, StoreError
from gristmill.corpus.files import write_text
from gristmill.flows.inspect.run_evidence import gather_run, signals_read
from gristmill.flows.inspect.settings import setting_path
from gristmill.flows.inspect.whatif import rules_with
from gristmill.flows.pipeline.damage import names_damage
from gristmill.flows.pipeline.open_context import read_run

MAX_STEPS = 1000


@names_damage
def sweep_run(run: Path, key: str, start: float, stop: float, steps: int, plot: Path | None = None) -> dict[str, Any]:
    """Decide again at ``steps`` evenly spaced bounds.

    Parameters
    ----------
    run : a run directory that has come as far as clusters
    key : a bound as in ``gristmill whatif --set``: words.at_least, decide.domains.code.rules.chars.at_most
    start, stop : first and last bound, in the signal's unit
    steps : 2 to ``MAX_STEPS``
    plot : where to write the curves as SVG

    Returns
    -------
    key (in full), bounds, kept_documents, kept_bytes (one a bound), by_source (documents, bytes, share, each one a
    bound), plot (its path or None)

    Raises
    ------
    RecipeError : no such key, or one that is no bound, or steps out of range
    UnknownNameError : an unknown rule or signal, or one the run has not measured
    """
    from gristmill.filters.decide.bound_sweep import sweep

    if not 2 <= steps <= MAX_STEPS:
        raise RecipeError(f"steps is {steps}; a sweep takes 2 to {MAX_STEPS}")
    context = read_run(run)
    key = setting_path(context.recipe, key)
    if not key.endswith((".at_least", ".at_most")):
        raise RecipeError(f"{key} is no bound; sweep a key that ends in at_least or at_most")
    bounds = np.unique(np.linspace(start, stop, steps)).tolist()
    variants = {bound: rules_with(context, [f"{key}={bound!r}"]) for bound in bounds}
    table = sweep(gather_run(context, signals_read(context, *variants.values())), variants)
    result = _curves(key, bounds, table) | {"plot": str(plot) if plot else None}
    if plot:
        from gristmill.data_cards.sweep_figure import sweep_svg

        _write_plot(plot, sweep_svg(result))
    return result


def _write_plot(plot: Path, text: str) -> None:
    try:
        if plot.is_dir():
            raise IsADirectoryError("it is a folder")
        write_text(plot, text)
    except OSError as error:
        raise StoreError(f"--plot {plot}: {error.strerror or error}; name an SVG file that can be written") from None


def _curves(key: str, bounds: list[float], table: pa.Table) -> dict[str, Any]:
    sources = table["source"].unique().to_pylist()
    shape = (len(bounds), len(sources))
    columns = {name: table[name].to_numpy().reshape(shape) for name in ("kept_documents", "kept_bytes", "share")}
    return {
        "key": key,
        "bounds": bounds,
        "kept_documents": columns["kept_documents"].sum(1).tolist(),
        "kept_bytes": columns["kept_bytes"].sum(1).tolist(),
        "by_source": {
            source: {
                "documents": columns["kept_documents"][:, at].tolist(),
                "bytes": columns["kept_bytes"][:, at].tolist(),
                "share": columns["share"][:, at].tolist(),
            }
            for at, source in enumerate(sources)
        },
    }
