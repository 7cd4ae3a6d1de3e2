"""The YAML block on top of README.md that Hugging Face reads: languages, licence, sizes, configs, features."""

import re
from collections.abc import Iterable

from gristmill.corpus.typed_json import Json
from gristmill.data_cards.card import Card
from gristmill.data_cards.croissant import licences, stated_languages
from gristmill.data_cards.overview import totals

HUB_LICENCES = {  # SPDX identifiers that the Hub knows under the same name in lower case
    "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "gpl-2.0",
    "gpl-3.0", "mit", "mpl-2.0", "odc-by", "pddl", "unlicense",
}  # fmt: skip
SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
SIZES += ((10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"), (10**11, "10B<n<100B"))
MAX_LANGUAGES = 100
SLICE = (("doc_id", "string"), ("start", "int32"), ("length", "int32"), ("offset", "int64"))


def front_matter(card: Card) -> str:
    """YAML text that ``huggingface_hub.DatasetCard`` parses; every value is quoted where it has to be."""
    from huggingface_hub import DatasetCardData

    codes = language_codes(stated_languages(card))
    fields = dict[str, Json](
        language=codes[:MAX_LANGUAGES] or None,
        pretty_name=card.identity.name,
        multilinguality="multilingual" if len(codes) > 1 else "monolingual",
        size_categories=size_category(totals(card).rows),
        source_datasets=["original"],
        task_categories=["text-generation"],
        annotations_creators="no-annotation",
        language_creators="found",
        tags=["pre-training", "tokenized", "gristmill"],
        **licence(card),
        configs=[_config(card, domain) for domain in card.shards],
        dataset_info=[_info(card, domain) for domain in card.shards],
    )
    return DatasetCardData(**fields).to_yaml(line_break="\n") + "\n"


def size_category(rows: int) -> str:
    """The Hub's name of a number of rows.

    >>> size_category(999), size_category(1000), size_category(10**12)
    ('n<1K', '1K<n<10K', '100B<n<1T')
    """
    return next((name for limit, name in SIZES if rows < limit), "100B<n<1T")


def language_codes(names: Iterable[str]) -> list[str]:
    """Those of ``names`` that the Hub knows as codes.

    >>> language_codes(["en", "eng_Latn"])
    ['en']
    """
    return [name for name in names if re.fullmatch("[a-z]{2,3}", name)]


def licence(card: Card) -> dict[str, str]:
    """The licence, where there is one for all that the Hub knows; else where they are listed."""
    stated = licences(card)
    if len(stated) == 1 and stated[0].lower() in HUB_LICENCES:
        return {"license": stated[0].lower()}
    return {"license": "other", "license_name": "several-see-sources", "license_link": "README.md#sources"}


def _splits(card: Card, domain: str) -> list[tuple[str, str]]:
    """(split, stage) of a domain: rows to train on, and rows held out where there are any."""
    held = domain in card.heldout_by_domain and card.heldout_by_domain[domain].rows
    return [("train", "shards"), *([("validation", "heldout")] if held else [])]


def _config(card: Card, domain: str) -> dict[str, Json]:
    files = [{"split": split, "path": f"{stage}/{domain}/*.arrow"} for split, stage in _splits(card, domain)]
    return {"config_name": domain, "data_files": files}


def _info(card: Card, domain: str) -> dict[str, Json]:
    packed = card.shards_by_domain[domain]
    files = {"shards": card.shards, "heldout": card.heldout}
    rows = {"shards": card.shards_by_domain, "heldout": card.heldout_by_domain}
    splits = [
        {
            "name": split,
            "num_bytes": sum(shard.bytes for shard in files[stage][domain]),
            "num_examples": rows[stage][domain].rows,
        }
        for split, stage in _splits(card, domain)
    ]
    total = sum(split["num_bytes"] for split in splits)
    features = [
        {"name": "tokens", "list": packed.token_type, "length": packed.row_tokens},
        {"name": "documents", "list": [{"name": name, "dtype": kind} for name, kind in SLICE]},
    ]
    sizes = {"download_size": total, "dataset_size": total}
    return {"config_name": domain, "features": features, "splits": splits, **sizes}
