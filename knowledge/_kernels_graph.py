"""Choosing an entity for each mention, and the triples of each document. Arrays in, arrays out; nothing raised."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _is_near(near_offsets, near, entity, other):
    """Do the two share a triple? Binary search in the neighbours of ``entity``."""
    low, high = near_offsets[entity], near_offsets[entity + 1]
    while low < high:
        middle = (low + high) // 2
        if near[middle] < other:
            low = middle + 1
        else:
            high = middle
    return low < near_offsets[entity + 1] and near[low] == other


@njit(cache=True, nogil=True)
def _has_witness(near_offsets, near, entity, witnesses):
    """Is the entity one of the document's certain ones, or a neighbour of one?"""
    at = 0
    while at < witnesses.size and witnesses[at] != entity and not _is_near(near_offsets, near, entity, witnesses[at]):
        at += 1
    return at < witnesses.size


@njit(cache=True, nogil=True)
def _best(candidates, degrees, wanted):
    """(entity, score) of the wanted candidate of most triples, ties by id; its share of triples + 1 among them."""
    best, most, total = np.int64(-1), np.int64(-1), 0
    for i in range(candidates.size):
        if not wanted[i]:
            continue
        weight = degrees[candidates[i]] + 1
        total += weight
        if weight > most:
            best, most = np.int64(candidates[i]), weight
    return best, np.float32(most / total) if best >= 0 else np.float32(0)


@njit(cache=True, nogil=True)
def _choose(candidates, doubtful, is_small, degrees, near_offsets, near, witnesses):
    """(entity, score) of one name in one document: among witnessed candidates if any, else among the plain ones."""
    witnessed = np.zeros(candidates.size, np.bool_)
    for i in range(candidates.size):
        witnessed[i] = _has_witness(near_offsets, near, candidates[i], witnesses)
    if is_small or witnessed.any():
        return _best(candidates, degrees, witnessed)
    return _best(candidates, degrees, ~doubtful)


@njit(cache=True, nogil=True)
def _certain(names, is_small, candidate_offsets, candidates, doubtful, seen, doc, witnesses):
    """Distinct entities that the document names beyond doubt -> witnesses; returns their number."""
    n = 0
    for m in range(names.size):
        first = candidate_offsets[names[m]]
        if candidate_offsets[names[m] + 1] - first != 1 or doubtful[first] or is_small[m]:
            continue
        entity = candidates[first]
        if seen[entity] != doc:
            seen[entity] = doc
            witnesses[n] = entity
            n += 1
    return n


@njit(cache=True, nogil=True)
def choose_entities(
    found_offsets,
    names,
    is_small,
    candidate_offsets,
    candidates,
    doubtful,
    degrees,
    near_offsets,
    near,
    entities,
    scores,
):
    """One sense a name and document: entities int32[n_found] (-1: doubtful, no witness), scores float32[n_found]."""
    seen = np.full(degrees.size, -1, np.int64)
    settled = np.full(candidate_offsets.size - 1, -1, np.int64)
    senses = np.empty(candidate_offsets.size - 1, np.int32)
    shares = np.empty(candidate_offsets.size - 1, np.float32)
    witnesses = np.empty(degrees.size, np.int32)
    for doc in range(found_offsets.size - 1):
        first, last = found_offsets[doc], found_offsets[doc + 1]
        n = _certain(
            names[first:last], is_small[first:last], candidate_offsets, candidates, doubtful, seen, doc, witnesses
        )
        for m in range(first, last):
            name = names[m]
            if settled[name] != doc:
                settled[name] = doc
                begin, end = candidate_offsets[name], candidate_offsets[name + 1]
                senses[name], shares[name] = candidates[begin], 1.0
                if end - begin > 1 or doubtful[begin] or is_small[m]:
                    choice, doubt = candidates[begin:end], doubtful[begin:end]
                    sense, share = _choose(choice, doubt, is_small[m], degrees, near_offsets, near, witnesses[:n])
                    senses[name], shares[name] = sense, share
            entities[m], scores[m] = senses[name], shares[name]


@njit(cache=True, nogil=True)
def join_triples(docs, entities, n_entities, head_offsets, tails, out_docs, out_triples):
    """Triples whose ends are both among a document's entities, in order of document and triple.

    docs, entities int64[n]: distinct pairs, ascending. Returns their number; those beyond the capacity are
    counted and not stored: call again with room.
    """
    here = np.full(n_entities, -1, np.int64)
    n_out, first = 0, 0
    while first < docs.size:
        doc, last = docs[first], first
        while last < docs.size and docs[last] == doc:
            here[entities[last]] = doc
            last += 1
        for i in range(first, last):
            for triple in range(head_offsets[entities[i]], head_offsets[entities[i] + 1]):
                if here[tails[triple]] != doc:
                    continue
                if n_out < out_docs.size:
                    out_docs[n_out], out_triples[n_out] = doc, triple
                n_out += 1
        first = last
    return n_out
