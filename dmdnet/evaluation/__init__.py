"""Evaluation: every method over every picture of a set, with coverage, intervals and pictures to look at."""

from dmdnet.evaluation.records import Evaluation, PictureRecord
from dmdnet.evaluation.runner import MODES, evaluate
from dmdnet.evaluation.statistics.summary import summarise
from dmdnet.evaluation.statistics.summary_record import SummaryRecord

__all__ = ["MODES", "Evaluation", "PictureRecord", "SummaryRecord", "evaluate", "summarise"]
