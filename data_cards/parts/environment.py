"""Versions of the packages that made the run, so that a rebuild can be set up."""

from collections.abc import Mapping

from gristmill.corpus.extras import installed_versions
from gristmill.corpus.state_files import read_typed
from gristmill.data_cards.reading import Reading

FILE = "environment.json"  # in the run directory
PACKAGES = ("datasets", "datasketch", "fasttext-wheel", "gristmill", "matplotlib", "numba", "numpy", "polars")
PACKAGES += ("pyarrow", "tokenizers", "torch")


def environment(reading: Reading) -> dict[str, str]:
    """What the run recorded of its environment; the present one for a run that recorded nothing."""
    path = reading.run.path / FILE
    return dict(read_typed(Mapping[str, str], path)) if path.exists() else present()


def present() -> dict[str, str]:
    """The versions that are installed here."""
    return installed_versions(PACKAGES)
