"""Kernels on the graph of near duplicates: union-find and bridges."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, inline="always")
def _find(parent, node):
    """Root of ``node``; halves the path on the way."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@njit(cache=True, nogil=True, inline="always")
def _join(parent, a, b):
    """True when a and b were apart; the smallest node of a set is its root."""
    x, y = _find(parent, a), _find(parent, b)
    parent[max(x, y)] = min(x, y)
    return x != y


@njit(cache=True, nogil=True)
def unite(parent, second, a, b, kept):
    """Join a[e] and b[e] in the first forest, or in the second when they are joined already; kept[e] if in either."""
    for e in range(a.size):
        kept[e] = _join(parent, a[e], b[e]) or _join(second, a[e], b[e])


@njit(cache=True, nogil=True)
def settle(parent):
    """parent[i] = root of i; one ascending pass, since a parent is never larger than its child."""
    for node in range(parent.size):
        parent[node] = parent[parent[node]]


@njit(cache=True, nogil=True)
def _depth_first(first, neighbour, edge, order, entered, up, up_edge):
    """Nodes in the order of a depth-first search of all components, without recursion.

    Adjacency of node v: neighbour[first[v]:first[v + 1]] by edge[...]. entered[v] (-1 at first) = place of v in ``order``;
    up[v], up_edge[v] = node and edge that it was reached by, -1 for the first of a component.
    """
    cursor, clock = first.copy(), 0
    for root in range(order.size):
        if entered[root] >= 0:
            continue
        node, up[root], up_edge[root] = root, -1, -1
        while node >= 0:
            if entered[node] < 0:
                entered[node], order[clock] = clock, node
                clock += 1
            if cursor[node] == first[node + 1]:
                node = up[node]
                continue
            at = cursor[node]
            cursor[node] += 1
            other = neighbour[at]
            if entered[other] < 0:
                up[other], up_edge[other] = node, edge[at]
                node = other


@njit(cache=True, nogil=True)
def _lows(first, neighbour, edge, order, entered, up, up_edge, low, size):
    """low[v] = earliest entry reachable from the subtree of v without the edge above it; size[v] = nodes in it (Tarjan)."""
    for node in range(order.size):
        low[node], size[node] = entered[node], 1
    for i in range(order.size - 1, -1, -1):
        node = order[i]
        for at in range(first[node], first[node + 1]):
            if edge[at] != up_edge[node]:
                low[node] = min(low[node], entered[neighbour[at]])
        if up[node] >= 0:
            low[up[node]] = min(low[up[node]], low[node])
            size[up[node]] += size[node]


@njit(cache=True, nogil=True)
def count_bridges(first, neighbour, edge):
    """Edges whose loss parts a component into two of two nodes or more each."""
    n = first.size - 1
    order, up, up_edge = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    low, size, whole = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    entered = np.full(n, -1)
    _depth_first(first, neighbour, edge, order, entered, up, up_edge)
    _lows(first, neighbour, edge, order, entered, up, up_edge, low, size)
    bridges = 0
    for node in order:
        if up[node] < 0:
            whole[node] = size[node]
            continue
        whole[node] = whole[up[node]]
        bridges += low[node] == entered[node] and 2 <= size[node] <= whole[node] - 2
    return bridges
