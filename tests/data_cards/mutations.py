"""Changes of one leaf of a JSON value, for tests that each of them is found."""

import copy


def mutations(value, path=()):
    """Every change of one leaf of a JSON value, made in place and taken back: (what, path) while it stands."""
    if isinstance(value, dict):
        for key in list(value):
            yield from (
                mutations(value[key], (*path, key))
                if isinstance(value[key], dict | list)
                else changed(value, key, path)
            )
            taken = value.pop(key)
            yield "missing", (*path, key)
            value[f"{key}_"] = taken
            yield "another key", (*path, key)
            del value[f"{key}_"]
            value[key] = taken
        value["added"] = 1
        yield "added", path
        del value["added"]
    else:
        for place in range(len(value)):
            yield from (
                mutations(value[place], (*path, place))
                if isinstance(value[place], dict | list)
                else changed(value, place, path)
            )
            before = list(value)
            value.insert(place, value.pop())
            if value != before:
                yield "order", (*path, place)
            value.append(value.pop(place))
        value.append(1)
        yield "added", path
        value.pop()


def changed(value, key, path):
    """A leaf with another value, and with the same one of another kind."""
    kept = value[key]
    others = {bool: [not kept, int(bool(kept))], str: [f"{kept}x", ""], type(None): [0, "null"]}
    numbers = (
        [kept + 1, -kept or 1, float(kept) if type(kept) is int else str(kept)] if type(kept) in (int, float) else []
    )
    for other in others.get(type(kept), numbers):
        if other != kept or type(other) is not type(kept):
            value[key] = other
            yield f"{kept!r} to {other!r}", (*path, key)
    value[key] = kept


def mutated(value):
    """The value after its first mutation."""
    held = {"held": copy.deepcopy(value)}
    next(mutations(held))
    return next(iter(held.values()))


def figures(value):
    """Changes of one number of a JSON value, in place and taken back."""
    for key in value if isinstance(value, dict) else range(len(value)):
        if isinstance(value[key], dict | list):
            yield from figures(value[key])
        elif type(value[key]) in (int, float):
            value[key] += 1
            yield key
            value[key] -= 1
