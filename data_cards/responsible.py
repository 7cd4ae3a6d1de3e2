"""The parts of croissant.json that say where data came from (PROV-O) and what to mind when using it (RAI 1.0)."""

from collections import Counter

from gristmill.corpus.typed_json import Json
from gristmill.data_cards.card import Card
from gristmill.data_cards.lock_facts import source_files
from gristmill.data_cards.takedowns import sentence
from gristmill.data_cards.wording import counted

NOT_STATED = "not stated"
USES = "Training and evaluation of language models under the licences of the sources."


def creator(card: Card) -> str:
    """Who made the corpus, or that this is not stated."""
    return card.identity.creator or NOT_STATED


def provenance(card: Card) -> dict[str, Json]:
    """Every input file with its digest, and the activity that read them."""
    identity = card.identity
    return {
        "prov:wasDerivedFrom": [
            {"@type": "prov:Entity", "prov:label": f"{source}: {file.path}", "prov:value": file.digest}
            for source, files in source_files(card.lock).items()
            for file in files
        ],
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": f"gristmill run {identity.run}",
            "prov:used": [f"{stage.stage} {stage.key}" for stage in card.stages],
        },
        "prov:wasAttributedTo": {"@type": "prov:Agent", "prov:label": creator(card)},
    }


def responsible(card: Card) -> dict[str, Json]:
    """RAI 1.0: collection, processing, uses, limits, personal information, maintenance."""
    names = ", ".join(source.name for source in card.sources)
    rules = sorted({rule.rule for rule in card.drops if rule.rule})
    collection = f"Files that the recipe names, from {counted(len(card.sources), 'source')}: {names}."
    if card.identity.collection:
        collection = f"{card.identity.collection} {collection}"
    merged = sum(kind.documents for kind in card.dedup.merged)
    return {
        "rai:dataCollection": collection,
        "rai:dataCollectionType": ["Secondary data analysis"],
        "rai:dataCollectionMissingData": _missing(card),
        "rai:dataCollectionRawData": "Raw inputs stand under prov:wasDerivedFrom with their digests.",
        "rai:dataPreprocessingProtocol": [
            "Text extracted from each format and normalised to Unicode NFC.",
            f"{merged} duplicates merged into one representative each.",
            f"Documents dropped by these rules: {', '.join(rules) or 'none'}.",
            "Byte-level BPE tokens, packed into rows of fixed length.",
        ],
        "rai:machineAnnotationTools": [f"{stage.stage} {stage.version}" for stage in card.stages if stage.version],
        "rai:dataUseCases": [card.identity.intended_use or USES],
        "rai:dataLimitations": list(card.limits),
        "rai:dataBiases": ["Domains are weighted by the mixture, not by their size in the world."],
        "rai:dataSocialImpact": "Not assessed.",
        "rai:personalSensitiveInformation": [
            "Documents may contain names of persons; see dataLimitations for what was not scanned for."
        ],
        "rai:dataReleaseMaintenancePlan": "Documents are removed on request with `gristmill takedown`. "
        f"{sentence(card.takedowns)} Contact: {card.identity.contact or NOT_STATED}.".lstrip(),
    }


def _missing(card: Card) -> str:
    counts: Counter[str] = Counter()
    for row in card.rejects:
        counts[row.reason] += row.records
    if not counts:
        return "No input record was rejected."
    reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(counts.items()))
    return f"Records rejected or skipped while reading: {reasons}."
