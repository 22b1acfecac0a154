"""The verdicts on all claims of a study."""

from typing import Any

from tasks.analysis.tables import Config, Tables
from tasks.verdicts.claim import WRITTEN_STUDY, Claim, Margins, with_shipped, written_study
from tasks.verdicts.judge import Basis, judge
from tasks.verdicts.selection import measures_of
from tasks.verdicts.verdict import Verdict


def claims_of(config: Config) -> list[Claim]:
    """The claims of a study's settings.

    Those of the written study about depths are left out of a study that compares other networks.
    """
    listed: Any = with_shipped(config.get("claims", WRITTEN_STUDY))
    claims = [one if isinstance(one, Claim) else Claim.model_validate(one) for one in listed]
    if config["depths"] or not config.get("architectures"):
        return claims
    shipped = written_study()
    return [one for one in claims if one not in shipped or one.along != "depth"]


def judge_claims(tables: Tables) -> list[Verdict]:
    """The verdict on every claim of a study, in its order, from the study's tables."""
    config = tables.config
    basis = Basis(
        margins=Margins.model_validate(config["margins"]),
        study=config["name"] if config.get("as_shipped") else "",
    )
    return [
        judge(claim, tables, basis)
        for claim in claims_of(config)
        if measures_of(claim, config) is not None
    ]
