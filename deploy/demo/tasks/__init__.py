"""The demo's tasks: for each, where its rows come from and how its expert is trained."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.demo.packages import Package
from deploy.demo.tasks import icd10, medmcqa_subject, privacy_qa, rt_polarity
from deploy.demo.training import Training
from merge_builder.evaluation import Row


@dataclass(frozen=True)
class DemoTask:
    """A task: `read` takes the path of `package`'s wheel; `fast` is the training of `mergeladder demo --fast`."""

    package: Package
    read: Callable[[Path], list[Row]]
    training: Training
    fast: Training | None = None


# Chosen on validation rows for about 80 s each on one core: many classes want higher rates and more, smaller steps.
TASKS = {
    "rt_polarity": DemoTask(
        rt_polarity.PACKAGE,
        rt_polarity.read,
        Training(steps=130),
        fast=Training(steps=24),
    ),
    "icd10": DemoTask(
        icd10.PACKAGE,
        icd10.read,
        Training(steps=300, batch_size=16, encoder_rate=3e-4, head_rate=5e-3),
        fast=Training(steps=90, batch_size=16, encoder_rate=3e-4, head_rate=5e-3),
    ),
    "medmcqa_subject": DemoTask(
        medmcqa_subject.PACKAGE,
        medmcqa_subject.read,
        Training(steps=140, encoder_rate=3e-4, head_rate=5e-3),
    ),
    "privacy_qa": DemoTask(
        privacy_qa.PACKAGE,
        privacy_qa.read,
        Training(steps=120, encoder_rate=2e-4, head_rate=5e-3),
    ),
}
