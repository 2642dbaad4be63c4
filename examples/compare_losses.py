"""Which loss suits breast_cancer when 30 % of the training labels are wrong? From Python.

The command line does the same over all cores, and goes on where it was stopped:
lossmith compare breast_cancer --label-noise 0.3 --losses binary_focal,hinge,savage
"""

import time
from pathlib import Path

from lossmith.lab.compare import contest, jobs, plan, record, report, summary
from lossmith.lab.compare.conditions import Condition
from lossmith.lab.compare.settings import Settings
from lossmith.lab.data.load import load

settings = Settings(
    data="breast_cancer",
    losses=("binary_focal", "hinge", "savage"),  # and the baseline, binary cross-entropy
    conditions=(Condition("label_noise", 0.3),),
    model="linear",
    repeats=4,
    folds=3,
    epochs=8,
    learning_rates=(0.004, 0.016),
)

begin = time.perf_counter()
comparison = plan.resolve(settings, load(settings.data))
with jobs.workers(comparison.work, comparison.dataset, 1) as run:
    races = contest.run(comparison, {}, run)
(outcome,) = summary.summarize(comparison, races)

for row in outcome.rows:
    value = outcome.value(row)
    reached = "diverged" if value is None else f"{value.mean:.3f} ± {value.half_width:.3f}"
    mark = "best, or not told from it" if row.candidate.spec in outcome.best else ""
    print(f"{row.candidate.label:32} {outcome.metric} {reached}  {mark}")

results, seconds = summary.results_of(races), time.perf_counter() - begin
everything = record.as_data(comparison, [outcome], results, seconds)
print(everything["conditions"][0]["verdict"])
page = Path("compare.html")
page.write_text(report.page(everything), encoding="utf-8")
print(f"the report is in {page}")
