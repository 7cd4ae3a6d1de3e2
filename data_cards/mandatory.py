"""What a card must hold; ``check`` reports what is missing."""

# of card.json; never empty
FILLED = (
    "format", "identity", "recipe", "lock", "environment", "stages", "funnel", "sources", "verdicts", "dedup",
    "signals", "languages", "licenses", "tokenizer", "mixture", "rows", "shards", "shards_by_domain", "limits",
    "rebuild",
)  # fmt: skip
# what may be empty, but must be said
PRESENT = (
    "rejects",
    "drops",
    "hosts",
    "knowledge",
    "heldout",
    "heldout_by_domain",
    "training",
    "takedowns",
    "edits",
    "reviewed",
)  # empty when nothing was
INSIDE = {
    "identity": ("name", "run", "version", "seed", "description", "url", "creator", "contact", "published"),
    "lock": ("recipe", "inputs", "versions"),
    "dedup": ("scheme", "found", "merged"),
    "tokenizer": ("vocab_size", "encoded"),
    "mixture": ("digest", "seed", "samples", "tokens", "schedule", "by_domain", "caps"),
}
HUB_KEYS = ("license", "pretty_name", "size_categories", "task_categories", "configs", "dataset_info", "tags")
CROISSANT_KEYS = (
    "@context", "@type", "conformsTo", "name", "description", "url", "creator", "license", "datePublished", "version",
    "distribution", "recordSet", "citeAs", "keywords", "publisher", "sdLicense", "inLanguage", "isLiveDataset",
    "prov:wasDerivedFrom", "prov:wasGeneratedBy", "prov:wasAttributedTo", "rai:dataCollection", "rai:dataBiases",
    "rai:dataLimitations", "rai:dataUseCases", "rai:personalSensitiveInformation", "rai:dataPreprocessingProtocol",
    "rai:dataReleaseMaintenancePlan",
)  # fmt: skip
FILE_KEYS = ("@id", "name", "contentUrl", "contentSize", "encodingFormat", "sha256")
