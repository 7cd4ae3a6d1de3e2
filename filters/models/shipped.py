"""Models that come with the mill, in the checkout and in the wheel alike; see ATTRIBUTION.md beside them."""

from pathlib import Path

LANGUAGE_MODEL = Path(__file__).with_name("lid.176.ftz")  # what [language] uses when its key ``model`` is left out
ENTROPY_TABLES = {name: Path(__file__).with_name(f"entropy_{name}.npy") for name in ("characters", "tokens", "totals")}
ENTROPY_WEIGHTS = Path(__file__).with_name("entropy_weights.json")
