"""Wikidata's JSON dump: a list with one entity to a line, ``latest-all.json.bz2`` and its like; lines of JSON too.

As https://doc.wikimedia.org/Wikibase/master/php/docs_topics_json.html has it. An empty object is often written as an
empty list. Items are entities; of properties the names are kept; lexemes and redirects are left out. A statement whose
value is an item is a triple; deprecated ones are none. One entity is in memory at a time.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from gristmill.knowledge.graph_lines import lines_of
from gristmill.knowledge.graph_source import Read
from gristmill.knowledge.graph_tables import Entity, GraphAccount, GraphTables, Triple

TYPE_RELATION = "P31"  # instance of
RANKS = {"preferred": 2, "normal": 1, "deprecated": 0}


def read_dump(path: Path, options: Read, tables: GraphTables, account: GraphAccount) -> None:
    """Add the entities and triples of a dump. 86 MB of JSON a CPU second, behind the unpacking.

    Raises
    ------
    SourceError : the file cannot be read
    """
    for number, line in lines_of(path):
        account.lines += 1
        text = line.strip().rstrip(b",") if line is not None else b""
        if line is None:
            account.malformed(path, number, "line_too_long")
        elif text in (b"", b"[", b"]"):
            account.left_out["frame"] += 1
        else:
            _add(path, number, text, options, tables, account)


def _add(path: Path, number: int, text: bytes, options: Read, tables: GraphTables, account: GraphAccount) -> None:
    try:
        found = orjson.loads(text)
        reason, rows = _read(found, options, account)
    except orjson.JSONDecodeError as error:
        account.malformed(path, number, "no_json", str(error))
        return
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        account.malformed(path, number, "no_entity", repr(error))
        return
    if reason:
        account.left_out[reason] += 1
        return
    entities, triples, relations = rows
    tables.add(entities, triples, relations)
    account.used_lines += 1
    account.triples += len(triples)


Rows = tuple[list[Entity], list[Triple], list[Triple]]
_NOTHING: Rows = ([], [], [])


def _read(found: Any, options: Read, account: GraphAccount) -> tuple[str, Rows]:
    """Why an entity is left out, or its rows. Statements are counted once the entity is kept, and all at once."""
    if "redirect" in found:
        return "redirect", _NOTHING
    kind, name = found["type"], found["id"]
    labels = dict(_values(found, "labels", options.languages))
    if kind == "property":
        return (
            ("", ([], [], [(name, lang, label) for lang, label in labels.items()]))
            if labels
            else ("no_label", _NOTHING)
        )
    if kind != "item":
        return str(kind), _NOTHING
    claims = _object(found.get("claims"))
    types = [value for _, value in _statements(claims, options.type_relation or TYPE_RELATION, options.best_rank)[0]]
    if options.types and not set(types) & set(options.types):
        return "other_type", _NOTHING
    if not labels:
        return "no_label", _NOTHING
    descriptions = dict(_values(found, "descriptions", options.languages))
    aliases = _aliases(found, options.languages)
    kind = next((one for one in types if one in options.types), types[0] if types else "")
    rows: list[Entity] = [
        (name, label, lang, tuple(aliases.get(lang, ())), descriptions.get(lang, ""), kind)
        for lang, label in labels.items()
    ]
    triples, counts = _triples(name, claims, options)
    account.statements += len(triples) + sum(counts.values())
    account.statements_left_out.update(counts)
    return "", (rows, triples, [])


def _object(value: Any) -> Mapping[str, Any]:
    """PHP writes an empty object as an empty list."""
    if isinstance(value, Mapping):
        return value
    if value in (None, []):
        return {}
    raise TypeError(f"{type(value).__name__} where an object stands")


def _values(found: Mapping[str, Any], key: str, languages: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for lang, one in _object(found.get(key)).items():
        if (not languages or lang in languages) and one["value"].strip():
            yield lang, one["value"]


def _aliases(found: Mapping[str, Any], languages: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    wanted = (
        (lang, ones) for lang, ones in _object(found.get("aliases")).items() if not languages or lang in languages
    )
    return {lang: tuple(one["value"] for one in ones if one["value"].strip()) for lang, ones in wanted}


def _triples(name: str, claims: Mapping[str, Any], options: Read) -> tuple[list[Triple], dict[str, int]]:
    triples, counts = [], dict[str, int]()
    for relation in claims:
        if options.relations and relation not in options.relations:
            counts["other_relation"] = counts.get("other_relation", 0) + len(claims[relation])
            continue
        found, left_out = _statements(claims, relation, options.best_rank)
        triples += [(name, relation, value) for _, value in found]
        for reason in left_out:
            counts[reason] = counts.get(reason, 0) + 1
    return triples, counts


def _statements(claims: Mapping[str, Any], relation: str, best_rank: bool) -> tuple[list[tuple[int, str]], list[str]]:
    """(rank, item) of each statement of a property that is used, and why the others are not."""
    found, left_out = [], []
    for one in claims.get(relation, ()):
        value = _item(one["mainsnak"])
        rank = RANKS[one.get("rank", "normal")]
        if rank == RANKS["deprecated"]:
            left_out.append("deprecated")
        elif isinstance(value, tuple):
            left_out.append(value[0])
        else:
            found.append((rank, value))
    most = max((RANKS[one.get("rank", "normal")] for one in claims.get(relation, ())), default=0) if best_rank else 0
    left_out += ["not_preferred"] * sum(rank < most for rank, _ in found)
    return [one for one in found if one[0] >= most], left_out


def _item(snak: Mapping[str, Any]) -> str | tuple[str]:
    """The id of the item that a snak names; (reason,) where it names none: somevalue, novalue, literal ..."""
    if snak["snaktype"] != "value":
        return (str(snak["snaktype"]),)
    held = snak["datavalue"]
    if held["type"] != "wikibase-entityid":
        return ("literal",)
    value = held["value"]
    if value.get("entity-type", "item") != "item":
        return ("other_entity",)
    return value["id"] if "id" in value else f"Q{value['numeric-id']}"
