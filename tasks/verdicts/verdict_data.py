"""Verdicts as JSON data, as the entry of a report holds them."""

from collections.abc import Iterable, Iterator

from tasks.cache.canonical import JsonObject


def readings_of(verdict: JsonObject) -> Iterator[tuple[tuple[str, ...], JsonObject]]:
    """Every measured reading of a verdict with its place: claim, pixels if not all, reading."""
    of_pixels = [
        ((verdict["name"],), verdict),
        ((verdict["name"], "reachable"), verdict["reachable"]),
    ]
    for place, one in of_pixels:
        for name in ("trend", "every_step"):
            reading = one[name] if one else None
            if reading and reading["outcome"] != "not measured":
                yield (*place, name), reading


VERDICT_COLUMNS = [
    "name",
    "claim",
    "outcome",
    "reason",
    "trend",
    "every_step",
    "reachable",
    "comparison",
    "change",
    "low",
    "high",
    "unit",
    "n",
]


def verdict_rows(verdicts: Iterable[JsonObject]) -> list[JsonObject]:
    """One row per claim: its outcome, that of each reading, and the comparison that decides.

    ``trend``, ``every_step`` and ``reachable`` are outcomes, None where there is no such reading.
    ``comparison`` to ``n`` are of the comparison that decides: change, the ends of the interval
    that decides, their unit, and the number of seeds.
    """
    return [_row(verdict) for verdict in verdicts]


def _row(verdict: JsonObject) -> JsonObject:
    readings = {place[1:]: reading for place, reading in readings_of(verdict)}
    deciding = readings.get(("every_step",)) or readings.get(("trend",)) or {}
    decisive = deciding.get("decisive") or {}
    low, high = deciding.get("interval") or (None, None)
    row = {name: verdict[name] for name in ("name", "claim", "outcome", "reason")}
    for name in ("trend", "every_step"):
        row[name] = readings[(name,)]["outcome"] if (name,) in readings else None
    row["reachable"] = verdict["reachable"]["outcome"] if verdict["reachable"] else None
    row |= {"comparison": decisive.get("label"), "change": decisive.get("change")}
    row |= {"low": low, "high": high, "unit": decisive.get("unit"), "n": decisive.get("n")}
    return row
