"""The parts of croissant.json that say where data came from (PROV-O) and what to mind when using it (RAI 1.0)."""

from typing import Any

from gristmill.data_cards.takedowns import sentence

Card = dict[str, Any]


def provenance(card: Card) -> dict[str, Any]:
    """Every input file with its digest, and the activity that read them."""
    identity = card["identity"]
    return {
        "prov:wasDerivedFrom": [
            {"@type": "prov:Entity", "prov:label": f"{source}: {file['path']}", "prov:value": file["digest"]}
            for source, files in card["lock"]["inputs"]["files"].items()
            for file in files
        ],
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": f"gristmill run {identity['run']}",
            "prov:used": [f"{stage['stage']} {stage['key']}" for stage in card["stages"]],
        },
        "prov:wasAttributedTo": {"@type": "prov:Agent", "prov:label": identity["creator"]},
    }


def responsible(card: Card) -> dict[str, Any]:
    """RAI 1.0: collection, processing, uses, limits, personal information, maintenance."""
    names = ", ".join(source["name"] for source in card["sources"])
    rules = sorted({rule["rule"] for rule in card["drops"] if rule["rule"]})
    merged = sum(kind["documents"] for kind in card["dedup"]["merged"].values())
    return {
        "rai:dataCollection": f"Files that the recipe names, from {len(card['sources'])} sources: {names}.",
        "rai:dataCollectionType": ["Secondary data analysis"],
        "rai:dataCollectionMissingData": _missing(card),
        "rai:dataCollectionRawData": "Raw inputs stand under prov:wasDerivedFrom with their digests.",
        "rai:dataPreprocessingProtocol": [
            "Text extracted from each format and normalised to Unicode NFC.",
            f"{merged} duplicates merged into one representative each.",
            f"Documents dropped by these rules: {', '.join(rules) or 'none'}.",
            "Byte-level BPE tokens, packed into rows of fixed length.",
        ],
        "rai:machineAnnotationTools": [
            f"{stage['stage']} {stage['version']}" for stage in card["stages"] if stage["version"]
        ],
        "rai:dataUseCases": ["Training and evaluation of language models under the licences of the sources."],
        "rai:dataLimitations": card["limits"],
        "rai:dataBiases": ["Domains are weighted by the mixture, not by their size in the world."],
        "rai:dataSocialImpact": "Not assessed.",
        "rai:personalSensitiveInformation": [
            "Documents can name persons; dataLimitations says what was not scanned for."
        ],
        "rai:dataReleaseMaintenancePlan": "Documents are removed on request with `gristmill takedown`. "
        f"{sentence(card)} Contact: {card['identity']['contact']}.".lstrip(),
    }


def _missing(card: Card) -> str:
    counts: dict[str, int] = {}
    for source in card["rejects"].values():
        for reasons in source.values():
            for reason, number in reasons.items():
                counts[reason] = counts.get(reason, 0) + number
    if not counts:
        return "No input record was rejected."
    reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(counts.items()))
    return f"Records rejected or skipped while reading: {reasons}."
