"""The report of a benchmark as one page that opens without a network: `report.html`."""

from dmdnet.evaluation.reports.html_report.facts import Facts, SetFacts, facts_of
from dmdnet.evaluation.reports.html_report.page import MAX_BYTES, REPORT, report_page, write_html_report

__all__ = ["MAX_BYTES", "REPORT", "Facts", "SetFacts", "facts_of", "report_page", "write_html_report"]
