"""The report as one HTML file that needs no network."""

from benchmark.reporting.html.document import html_report

__all__ = ["html_report"]
