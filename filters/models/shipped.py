"""Models that come with the mill, in the checkout and in the wheel alike; see ATTRIBUTION.md beside them."""

from pathlib import Path

LANGUAGE_MODEL = Path(__file__).with_name("lid.176.ftz")  # what [language] uses when its key ``model`` is left out
