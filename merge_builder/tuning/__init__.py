"""Merges tuned with a little data: what a search finds is published where it beats the ladder as it was built."""

from merge_builder.tuning.bench import Bench
from merge_builder.tuning.report import Report, RungReport
from merge_builder.tuning.settings import Settings, TunerName
from merge_builder.tuning.start import working_folder
from merge_builder.tuning.trials import Trial
from merge_builder.tuning.tune import tune

__all__ = ["Bench", "Report", "RungReport", "Settings", "Trial", "TunerName", "tune", "working_folder"]
