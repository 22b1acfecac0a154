"""What a study found, as three to seven sentences for a reader who has two minutes.

docs/verdicts.md has the rule by which they are chosen.
"""

from collections.abc import Iterable, Mapping, Sequence

from tasks.analysis.tables import Config, Row
from tasks.cache.canonical import JsonObject
from tasks.verdicts.measured import (
    Finding,
    as_sentence,
    best_levels,
    measured_facts,
    theory_findings,
)
from tasks.verdicts.seeds_needed import MOST_SEEDS
from tasks.verdicts.verdict import DECIDED, Verdict, seeds_text
from tasks.verdicts.wording import anchors, change_sentence, seeds_in_words, shown_reading

FEWEST, MOST = 3, 7
ENOUGH_SEEDS = 5
SWEEPS = ("latent_sweep", "depth_sweep", "objective_sweep")
MAIN_QUANTITIES = ("test loss", "test accuracy")


def make_findings(
    verdicts: Sequence[Verdict],
    rows: Mapping[str, list[Row]],
    config: Config,
    *,
    warnings: Sequence[str] = (),
    linear_limit: Sequence[str] = (),
    edge: str = "",
    command: str = "",
    checks: Sequence[bool] = (),
) -> list[Finding]:
    """The findings of a study from its verdicts and the rows of its tables, in reading order.

    First what is wrong (``warnings``, a single seed), then one decided claim or number of each
    section, then the linear limit and the pixels at the edge (``edge``), the claim that is nearest
    to a decision, and what to do next. ``checks`` says which exercises of theory hold.
    """
    known = anchors(verdict.name for verdict in verdicts)
    n_seeds = len(config["seeds"])
    sweep = next((one for one in SWEEPS if one in config["sections"]), "verdicts")
    alarms = [Finding(kind="warning", sentence=as_sentence(one), anchor=sweep) for one in warnings]
    best = best_levels(rows, config)
    tested = [one for one in verdicts if one.outcome in (*DECIDED, "undecided")]
    if n_seeds == 1 and (best or tested):
        alarms.append(_one_seed(config))
    decided, spare = _of_sections(verdicts, known, best)
    theory = theory_findings(checks)
    of_sizes = linear_limit if "latent_sweep" in config["sections"] else ()
    facts = [*(theory if not all(checks) else []), *measured_facts(of_sizes, edge)]
    spare += theory if all(checks) else []
    last = _nearest_to_decision(verdicts, known)
    if tested or best:
        last.append(_next_step(tested, known, config, command))
    room = MOST - len(alarms) - len(last)
    chosen = decided[: max(1, room - len(facts))]
    chosen += facts[: room - len(chosen)]
    missing = FEWEST - len(alarms) - len(chosen) - len(last)
    chosen += spare[: max(0, missing)]
    return [*alarms, *chosen, *last][:MOST]


def sentences(findings: Iterable[JsonObject | str]) -> list[str]:
    """The sentences of stored findings; earlier versions stored nothing else."""
    return [one if isinstance(one, str) else str(one["sentence"]) for one in findings]


def _of_sections(
    verdicts: Sequence[Verdict], known: Mapping[str, str], best: Sequence[Finding]
) -> tuple[list[Finding], list[Finding]]:
    """The first finding of every section, and the others.

    Decided claims go before numbers: those about the main quantities, then the largest effect.
    Exact counts are no finding while a section has another.
    """
    decided = [one for one in verdicts if one.outcome in DECIDED]
    decided.sort(key=lambda one: (one.quantity in MAIN_QUANTITIES, _effect(one)), reverse=True)
    compared = [one for one in decided if not _is_exact(one)]
    counted = [one for one in decided if _is_exact(one)]

    def by_section(claims: Sequence[Verdict]) -> list[tuple[str, Finding]]:
        return [(one.section or one.quantity, _of_claim(one, known)) for one in claims]

    numbers = [(one.anchor, one) for one in best]
    order = [*by_section(compared), *numbers, *by_section(counted)]
    first: dict[str, Finding] = {}
    spare = []
    for section, finding in order:
        if section in first:
            spare.append(finding)
        else:
            first[section] = finding
    return list(first.values()), spare


def _effect(verdict: Verdict) -> float:
    one = shown_reading(verdict).decisive
    return abs(one.effect_size or 0.0) if one is not None else 0.0


def _is_exact(verdict: Verdict) -> bool:
    one = shown_reading(verdict).decisive
    return one is not None and one.exact


def _of_claim(verdict: Verdict, known: Mapping[str, str]) -> Finding:
    sentence = change_sentence(verdict)
    if verdict.outcome == "refuted":
        sentence += f" This is against the claim: \u201c{verdict.claim.rstrip('.')}\u201d."
    return Finding(
        kind=verdict.outcome if verdict.outcome != "not measured" else "undecided",
        sentence=sentence,
        anchor=known[verdict.name],
        sure=verdict.reason,
    )


def _one_seed(config: Config) -> Finding:
    return Finding(
        kind="warning",
        sentence=(
            f"One seed (seed {config['seeds'][0]}): no loss and no accuracy here has an interval, "
            "so every difference may be due to chance."
        ),
        anchor="verdicts",
    )


def _nearest_to_decision(verdicts: Sequence[Verdict], known: Mapping[str, str]) -> list[Finding]:
    """The undecided claim of several seeds that needs the fewest more."""
    waiting = [one for one in _undecided(verdicts) if _n_compared(one) > 1]
    if not waiting:
        return []
    verdict = waiting[0]
    needed = verdict.seeds_needed
    sentence = f"Undecided: \u201c{verdict.claim.rstrip('.')}\u201d. {change_sentence(verdict)}"
    if needed is not None:
        text = seeds_text(needed)
        sentence += f" {text[0].upper()}{text[1:]} would decide it."
    return [
        Finding(
            kind="undecided", sentence=sentence, anchor=known[verdict.name], sure=verdict.reason
        )
    ]


def _n_compared(verdict: Verdict) -> int:
    """The number of seeds of the comparison that a sentence shows."""
    one = shown_reading(verdict).decisive
    return 0 if one is None else one.n


def _undecided(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The undecided claims, those that need the fewest seeds first."""
    found = [verdict for verdict in verdicts if verdict.outcome == "undecided"]
    return sorted(found, key=lambda one: (one.seeds_needed is None, one.seeds_needed or 0))


def _next_step(
    tested: Sequence[Verdict], known: Mapping[str, str], config: Config, command: str
) -> Finding:
    """What to do next: how many more seeds, or where to look."""
    waiting, n_seeds = _undecided(tested), len(config["seeds"])
    if n_seeds == 1 and (waiting or not tested):
        first = config["seeds"][0]
        listed = ",".join(str(first + more) for more in range(ENOUGH_SEEDS))
        run = f"{command} --set seeds=[{listed}]"
        text = f"Run {seeds_in_words(ENOUGH_SEEDS)}, so that changes have intervals: {run}"
        return Finding(kind="next", sentence=text, anchor="provenance")
    if not waiting:
        text = "No claim is open: more seeds would only make the intervals narrower."
        refuted = [one for one in tested if one.outcome == "refuted"]
        if refuted:
            text += " Look first at the claims that are refuted."
        place = known[(refuted or tested)[0].name] if tested else "provenance"
        return Finding(kind="next", sentence=text, anchor=place)
    needed, others = waiting[0].seeds_needed, len(waiting) - 1
    if needed is not None and needed <= MOST_SEEDS:
        more = max(1, needed - n_seeds)
        text = f"About {more} more seed{'' if more == 1 else 's'} would decide the next claim."
    else:
        text = (
            "More seeds will hardly decide what is open: its changes are small beside their "
            "spread. A wider margin or other settings may."
        )
    if others:
        text += f" {others} more claim{' is' if others == 1 else 's are'} undecided."
    return Finding(kind="next", sentence=text, anchor=known[waiting[0].name])
