"""Drawing neighbours for each entity of each document. Arrays in, arrays out; nothing raised."""

import numpy as np
from numba import njit

from gristmill.handoff._kernels import mix

LOOKED = 4096  # triples of an entity that are looked at, each way: a country has 100,000


@njit(cache=True, nogil=True)
def _offer(keys, found, n, key, relation, entity):
    """Keep the smallest ``keys`` in order, at most as many as there is room for; returns how many there are."""
    room = keys.size
    if n == room and key >= keys[room - 1]:
        return n
    at = min(n, room - 1)
    while at > 0 and keys[at - 1] > key:
        keys[at] = keys[at - 1]
        found[at, 0], found[at, 1] = found[at - 1, 0], found[at - 1, 1]
        at -= 1
    keys[at] = key
    found[at, 0], found[at, 1] = relation, entity
    return min(n + 1, room)


@njit(cache=True, nogil=True)
def _draw(pair, triples, inverse, hidden, name_keys, keys, found, n, counts):
    """Offer an entity's triples of one way, from a keyed place on where there are many; returns how many are kept."""
    entity, doc, pair_key = pair
    offsets, kinds, others = triples
    entity_keys, relation_keys = name_keys
    first, n_triples = offsets[entity], offsets[entity + 1] - offsets[entity]
    begin = np.int64(pair_key % np.uint64(n_triples)) if n_triples > LOOKED else np.int64(0)
    for i in range(min(n_triples, LOOKED)):
        triple = first + (begin + i) % n_triples
        other = others[triple]
        if other == entity:
            continue
        if hidden[other] == doc:
            counts[0] += 1
            continue
        relation = 2 * kinds[triple] + inverse
        key = mix(mix(pair_key ^ entity_keys[other]) ^ relation_keys[relation])
        counts[1] += 1
        n = _offer(keys, found, n, key, relation, other)
    return n


@njit(cache=True, nogil=True)
def _hide(doc, answers, hidden):
    """hidden[entity] = doc for all that would reveal an answer of the document."""
    answer_offsets, keys, revealing_offsets, revealing = answers
    for a in range(answer_offsets[doc], answer_offsets[doc + 1]):
        for r in range(revealing_offsets[keys[a]], revealing_offsets[keys[a] + 1]):
            hidden[revealing[r]] = doc


@njit(cache=True, nogil=True)
def draw_neighbours(docs, entities, pair_keys, answers, of_heads, of_tails, name_keys, found, n_found, counts):
    """Neighbours of (document, entity) pairs, which are ascending by document; none that would reveal an answer.

    answers: int64 offsets[n_docs + 1] into int64 keys, int64 offsets[n_keys + 1] into int32 entities that reveal each;
    of_heads, of_tails: int64 offsets[n_entities + 1] into int32 kinds and int32 other ends of an entity's triples;
    name_keys: uint64[n_entities], uint64[2 * n_relations].
    -> found int32[n_pairs, most, 2]: relation (2 * kind, + 1 where the neighbour is the head) and entity;
    n_found int64[n_pairs]; counts int64[2]: triples refused since they reveal an answer, and not refused.
    """
    hidden = np.full(name_keys[0].size, -1, np.int64)
    keys = np.empty(found.shape[1], np.uint64)
    marked = -1
    for p in range(docs.size):
        if docs[p] != marked:
            marked = docs[p]
            _hide(marked, answers, hidden)
        pair = (entities[p], docs[p], pair_keys[p])
        n = _draw(pair, of_heads, 0, hidden, name_keys, keys, found[p], 0, counts)
        n_found[p] = _draw(pair, of_tails, 1, hidden, name_keys, keys, found[p], n, counts)
