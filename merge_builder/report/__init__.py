"""The report: what a ladder holds and how well each of its sizes does, as one HTML file."""

from merge_builder.report.page import render, write_report

__all__ = ["render", "write_report"]
