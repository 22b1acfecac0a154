"""Step ``report``: the page of a study."""

from tasks.cache.step import Step
from tasks.reporting.report import write_report

report = Step(write_report, "report", settings={"config": "", "failures": "failures"}, shared=False)
