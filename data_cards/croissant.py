"""croissant.json: the card as Croissant 1.1 JSON-LD with provenance (PROV-O) and responsible-AI (RAI 1.0) properties.

Property names are those of the specification's tables. No library is needed to write it; ``check`` validates it.
"""

from dataclasses import asdict

from gristmill.corpus.typed_json import Json
from gristmill.data_cards.card import Card
from gristmill.data_cards.croissant_context import CONTEXT
from gristmill.data_cards.croissant_shapes import VALUES
from gristmill.data_cards.parts.handover import Packed
from gristmill.data_cards.parts.row_samples import sample_file
from gristmill.data_cards.responsible import creator, provenance, responsible

Node = dict[str, Json]  # of JSON-LD
STAGES = ("shards", "heldout")
_SPDX = "Apache-2.0 BSD-2-Clause BSD-3-Clause CC-BY-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 GPL-2.0 GPL-3.0 MIT MPL-2.0"
SPDX = {name.lower(): name for name in f"{_SPDX} ODC-By-1.0 PDDL-1.0 Unlicense".split()}  # names by lower case
UNPUBLISHED = "1970-01-01"  # a date that a reader sees is none; a run knows no clock
CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
ARROW_STREAM = "application/vnd.apache.arrow.stream"
JSON_LINES = "application/jsonlines"
INTEGER_TYPES = {"uint16": "cr:UInt16", "uint32": "cr:UInt32"}


def croissant(card: Card, headline: str) -> Node:
    """The JSON-LD document of a card; ``headline`` is its one-sentence description."""
    identity = card.identity
    agent = {"@type": "sc:Organization", "name": creator(card)}
    published = identity.published or UNPUBLISHED
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": identity.name,
        "description": f"{identity.description} {headline}",
        "url": identity.url,
        "sameAs": identity.url,
        "creator": agent,
        "publisher": agent,
        "license": [_licence(name) for name in licences(card)],
        "sdLicense": "https://creativecommons.org/publicdomain/zero/1.0/",
        "version": identity.version,
        "sdVersion": "1.0.0",
        "datePublished": published,
        "dateCreated": published,
        "dateModified": published,
        "isLiveDataset": False,
        "keywords": ["language modelling", "pre-training", "deduplicated", *card.mixture.by_domain],
        "inLanguage": stated_languages(card) or ["und"],
        "citeAs": f"{identity.name}, version {identity.version}, made with gristmill. {identity.url}",
        "distribution": [*(node for stage in STAGES for node in _files(card, stage)), *_samples(card)],
        "recordSet": [*_rows(card), _domains(card)],
        **_collected(card),
        **provenance(card),
        **responsible(card),
    }


def _collected(card: Card) -> Node:
    collected = card.identity.collected
    return {"rai:dataCollectionTimeframe": collected} if collected else {}


def _licence(name: str) -> Json:
    """As an address where SPDX has one, or it is one; else as a work of that name."""
    if name.lower() in SPDX:
        return f"https://spdx.org/licenses/{SPDX[name.lower()]}"
    stands = name.startswith(("http://", "https://")) and VALUES["address"](name)
    return name if stands else {"@type": "sc:CreativeWork", "name": name}


def licences(card: Card) -> list[str]:
    """Every licence that a document or source states, sorted; `not stated` where none does."""
    stated = {row.license or "not stated" for row in card.licenses}
    return sorted(stated) or ["not stated"]


def stated_languages(card: Card) -> list[str]:
    """Language codes of kept documents, most documents first."""
    return [row.lang for row in card.languages if row.kept and row.lang not in (None, "und")]


def _files(card: Card, stage: str) -> list[Node]:
    return [
        {
            "@type": "cr:FileObject",
            "@id": f"{stage}/{domain}/{shard.name}",
            "name": shard.name,
            "description": f"{shard.rows} packed rows of the domain {domain}",
            "contentUrl": f"{stage}/{domain}/{shard.name}",
            "contentSize": f"{shard.bytes} B",
            "encodingFormat": ARROW_STREAM,
            "sha256": shard.sha256,
        }
        for domain, shards in getattr(card, stage).items()
        for shard in shards
    ]


def _samples(card: Card) -> list[Node]:
    """The first rows of each domain, in a format that readers of Croissant know; they know no Arrow."""
    return [
        {
            "@type": "cr:FileObject",
            "@id": sample_file(domain),
            "name": sample_file(domain),
            "description": f"The first {sample.rows} packed rows of the domain {domain}",
            "contentUrl": sample_file(domain),
            "contentSize": f"{sample.bytes} B",
            "encodingFormat": JSON_LINES,
            "sha256": sample.sha256,
        }
        for domain, sample in card.row_samples.items()
    ]


def _rows(card: Card) -> list[Node]:
    """One record set a domain; the shards have the same columns."""
    return [
        {
            "@type": "cr:RecordSet",
            "@id": f"rows-{domain}",
            "name": f"rows-{domain}",
            "description": f"Packed rows of the domain {domain}: the first {sample.rows} of "
            f"{card.shards_by_domain[domain].rows}; all of them, in the same columns, are in the files shards/{domain}",
            "field": _fields(f"rows-{domain}", sample_file(domain), card.shards_by_domain[domain]),
        }
        for domain, sample in card.row_samples.items()
    ]


def _fields(record: str, file: str, packed: Packed) -> list[Node]:
    def field(path: str, kind: str, text: str, **more: Json) -> Node:
        column, _, inner = path.partition("/")
        source: Node = {"fileObject": {"@id": file}, "extract": {"column": column}}
        source |= {"transform": {"jsonPath": inner}} if inner else {}
        return {
            "@type": "cr:Field",
            "@id": f"{record}/{path}",
            "name": path.replace("/", "-"),
            "description": text,
            "dataType": kind,
            "source": source,
            **more,
        }

    shape = {"isArray": True, "arrayShape": str(packed.row_tokens)}
    slices = [
        field("documents/doc_id", "sc:Text", "document, 32 hexadecimal digits"),
        field("documents/start", "cr:Int32", "first token of the piece in the row"),
        field("documents/length", "cr:Int32", "tokens of the piece"),
        field("documents/offset", "cr:Int64", "first token of the piece in its document"),
    ]
    return [
        field("tokens", INTEGER_TYPES[packed.token_type], "token ids of the row", **shape),
        {
            "@type": "cr:Field",
            "@id": f"{record}/documents",
            "name": "documents",
            "description": "the pieces of documents in the row, in order",
            "repeated": True,
            "source": {"fileObject": {"@id": file}, "extract": {"column": "documents"}},
            "subField": slices,
        },
    ]


def _domains(card: Card) -> Node:
    """The mixture as data inside the file, so that a reader has it without any shard."""
    columns = {
        "domain": "sc:Text",
        "rows": "cr:Int64",
        "drawn": "cr:Int64",
        "target_share": "cr:Float64",
        "realised_share": "cr:Float64",
    }
    return {
        "@type": "cr:RecordSet",
        "@id": "domains",
        "name": "domains",
        "description": "Rows that each domain has, rows that the plan draws, and its share as asked and as realised",
        "key": {"@id": "domains/domain"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"domains/{name}",
                "name": name,
                "description": f"{name.replace('_', ' ')} of the domain",
                "dataType": kind,
            }
            for name, kind in columns.items()
        ],
        "data": [
            {
                f"domains/{name}": value
                for name, value in ({"domain": domain} | asdict(entry)).items()
                if name in columns
            }
            for domain, entry in card.mixture.by_domain.items()
        ],
    }
