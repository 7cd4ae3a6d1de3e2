"""Choosing an entity for each mention, and the triples of each document. Arrays in, arrays out; nothing raised."""

import math

import numpy as np
from numba import njit

from gristmill.knowledge._kernels_context import (
    CLOSED,
    DATED,
    GLUED_LEFT,
    GLUED_RIGHT,
    LED,
    LEFT,
    RAISED,
    RIGHT,
    read_around,
)

ALONE_FROM = 4  # certain entities of a document that make one without a neighbour among them stand alone
N_AROUND = 8


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
def _count_near(near_offsets, near, entity, witnesses):
    """(neighbours of the entity among the document's witnesses, is it one of them)."""
    n_near, is_witness = 0, False
    for witness in witnesses:
        if witness == entity:
            is_witness = True
        elif _is_near(near_offsets, near, entity, witness):
            n_near += 1
    return n_near, is_witness


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
def _sum_of_entity(near_offsets, near, entity, doubtful, witnesses, weights):
    """What the certain entities of a document say for a candidate: neighbours among them, none at all, itself."""
    n_near, is_witness = _count_near(near_offsets, near, entity, witnesses)
    total = weights[0] * np.log2(1.0 + n_near)
    if n_near == 0 and witnesses.size - is_witness >= ALONE_FROM:
        total += weights[1]
    return total + (weights[2] if doubtful and is_witness else 0.0)


@njit(cache=True, nogil=True)
def _sum_of_place(around, capitals, weights):
    """What stands around a mention says against each of its candidates; see ``linking_model.CONTEXT``."""
    total = weights[4] * around[RAISED] + (weights[5] + capitals * weights[6]) * around[LEFT]
    total += weights[7] * around[RIGHT] + weights[8] * around[GLUED_LEFT] + weights[9] * around[GLUED_RIGHT]
    return total + weights[10] * around[DATED] + weights[11] * around[LED] + weights[12] * around[CLOSED]


@njit(cache=True, nogil=True)
def _best(candidates, doubtful, prior, near_offsets, near, witnesses, weights):
    """(entity, sum) of the candidate of the highest sum, ties by id."""
    best, most = candidates[0], -np.inf
    for i in range(candidates.size):
        total = prior[i] + _sum_of_entity(near_offsets, near, candidates[i], doubtful[i], witnesses, weights)
        if total > most:
            best, most = candidates[i], total
    return best, most


@njit(cache=True, nogil=True)
def choose_entities(
    offsets,
    data,
    found_offsets,
    found,
    is_small,
    capitals,
    candidate_offsets,
    candidates,
    doubtful,
    prior,
    near_offsets,
    near,
    weights,
    entities,
    odds,
):
    """The likeliest entity of each mention and the logarithm of its odds; one sense for a name in a document.

    found int64[n, 3]: start, end, name; capitals float64[n_docs]: share of words that begin with a capital;
    prior float32[n_candidates]; weights float64[14] as in ``linking_model.CONTEXT``.
    -> entities int32[n], odds float64[n]
    """
    n_entities, n_names = near_offsets.size - 1, candidate_offsets.size - 1
    seen, settled = np.full(n_entities, -1, np.int64), np.full(n_names, -1, np.int64)
    senses, sums, times = np.empty(n_names, np.int32), np.empty(n_names), np.empty(n_names, np.int64)
    witnesses, around = np.empty(n_entities, np.int32), np.empty(N_AROUND)
    for doc in range(found_offsets.size - 1):
        first, last = found_offsets[doc], found_offsets[doc + 1]
        n = _certain(
            found[first:last, 2], is_small[first:last], candidate_offsets, candidates, doubtful, seen, doc, witnesses
        )
        for m in range(first, last):
            name = found[m, 2]
            if settled[name] != doc:
                settled[name], times[name] = doc, 0
                begin, end = candidate_offsets[name], candidate_offsets[name + 1]
                senses[name], sums[name] = _best(
                    candidates[begin:end],
                    doubtful[begin:end],
                    prior[begin:end],
                    near_offsets,
                    near,
                    witnesses[:n],
                    weights,
                )
            times[name] += 1
        for m in range(first, last):
            name, begin = found[m, 2], offsets[doc]
            read_around(data, begin, offsets[doc + 1], begin + found[m, 0], begin + found[m, 1], around)
            total = sums[name] + _sum_of_place(around, capitals[doc], weights)
            total += weights[3] if is_small[m] else 0.0
            entities[m] = senses[name]
            odds[m] = total + weights[13] * np.log2(times[name])


@njit(cache=True, nogil=True)
def fill_scores(odds, scores):
    """Probabilities of logarithms of odds, one by one: a library's exp of many at once may differ in its last bit."""
    for m in range(odds.size):
        scores[m] = 1.0 / (1.0 + math.exp(-odds[m]))


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


@njit(cache=True, nogil=True)
def close_pairs(found_offsets, starts, ends, entities, window, pairs):
    """Pairs of mentions of two entities with at most ``window`` bytes between -> pairs int64[capacity, 3].

    (document, smaller entity, larger entity), in order of the mentions. Returns their number; those beyond the
    capacity are counted and not stored: call again with room.
    """
    n = 0
    for doc in range(found_offsets.size - 1):
        for m in range(found_offsets[doc], found_offsets[doc + 1]):
            other = m + 1
            while other < found_offsets[doc + 1] and starts[other] - ends[m] <= window:
                if entities[other] != entities[m]:
                    if n < pairs.shape[0]:
                        pairs[n, 0] = doc
                        pairs[n, 1], pairs[n, 2] = min(entities[m], entities[other]), max(entities[m], entities[other])
                    n += 1
                other += 1
    return n
