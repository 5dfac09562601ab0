"""What a running service tells of itself: one report for each question, each in rows of plain data."""

from reflector.report.explaining import EXPLAIN
from reflector.report.groups import GROUPS
from reflector.report.lines import LOG, MONITOR
from reflector.report.memory import MEMORY
from reflector.report.neighbors import NEIGHBOR, NEIGHBORS
from reflector.report.report import Argument, Report, Row, Unanswerable, find
from reflector.report.routes import ROUTES
from reflector.report.status import STATUS

__all__ = ["REPORTS", "Argument", "Report", "Row", "Unanswerable", "find"]

REPORTS = {
    report.name: report
    for report in (STATUS, NEIGHBORS, NEIGHBOR, ROUTES, EXPLAIN, GROUPS, MEMORY, LOG, MONITOR)
}
