"""What others ask of a card: the front matter of the Hub, and Croissant.

mlcroissant passes a card without name, url, description or creator, and warns about the rest; so its verdict is one
of several here.
"""

import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gristmill.data_cards.croissant_check import shape_mistakes

HUB_KEYS = ("license", "pretty_name", "size_categories", "task_categories", "configs", "dataset_info", "tags")
CROISSANT_KEYS = (
    "@context", "@type", "conformsTo", "name", "description", "url", "creator", "license", "datePublished", "version",
    "distribution", "recordSet", "citeAs", "keywords", "publisher", "sdLicense", "inLanguage", "isLiveDataset",
    "prov:wasDerivedFrom", "prov:wasGeneratedBy", "prov:wasAttributedTo", "rai:dataCollection", "rai:dataBiases",
    "rai:dataLimitations", "rai:dataUseCases", "rai:personalSensitiveInformation", "rai:dataPreprocessingProtocol",
    "rai:dataReleaseMaintenancePlan",
)  # fmt: skip


def hub_mistakes(folder: Path) -> Iterator[str]:
    """Keys that the front matter of README.md lacks."""
    from huggingface_hub import DatasetCard

    path = folder / "README.md"
    if not path.is_file():
        return
    try:
        data = DatasetCard(path.read_text(encoding="utf-8")).data.to_dict()
    except Exception as error:  # noqa: BLE001  YAML errors of several libraries; each is a problem of the card
        yield f"README.md: the front matter cannot be read: {error}"
        return
    yield from (f"README.md: the front matter has no {key}" for key in HUB_KEYS if not data.get(key))


def croissant_mistakes(folder: Path) -> Iterator[str]:
    """Properties that croissant.json lacks, and what its validator says; the validator's warnings count too."""
    path = folder / "croissant.json"
    if not path.is_file():
        return
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        yield f"croissant.json is not JSON: {error}"
        return
    yield from stated_mistakes(value)
    yield from _validated(path)


def stated_mistakes(value: Any) -> Iterator[str]:
    """Properties that a croissant.json lacks, and constraints of the specification that it breaks."""
    if not isinstance(value, dict):
        yield "croissant.json is no object"
        return
    yield from (f"croissant.json has no {key}" for key in CROISSANT_KEYS if value.get(key) in (None, "", [], {}))
    yield from shape_mistakes(value)


def _validated(path: Path) -> Iterator[str]:
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # rdflib's, about mlcroissant's use of it
            import mlcroissant

            issues = mlcroissant.Dataset(jsonld=path).metadata.issues
    except Exception as error:  # noqa: BLE001  the validator raises what its libraries raise on malformed JSON-LD
        yield f"croissant.json does not validate: {str(error).strip()}"
        return
    yield from (f"croissant.json: {warning}" for warning in sorted(issues.warnings))
