"""Typed clients of the internal HTTP interfaces, with the models that cross them."""

from shared.clients.base import ServiceClient
from shared.clients.comparison import (
    ChangedArtifact,
    Comparison,
    ComparisonQuery,
    LiveDetector,
    ShadowVersion,
    VerdictPair,
)
from shared.clients.filters import ScanFilter
from shared.clients.notifier import Delivery, NewSubscription, NotifierClient, Subscription
from shared.clients.reports import ReportsClient
from shared.clients.rescans import RescanAct, RescanEstimate, RescanJob, RescanState
from shared.clients.results import FileSummary, PastScan, ResultsClient, ScanDetail, ScanPage, ScanSummary
from shared.clients.upload import Submission, UploadClient

__all__ = [
    "ChangedArtifact",
    "Comparison",
    "ComparisonQuery",
    "Delivery",
    "FileSummary",
    "LiveDetector",
    "NewSubscription",
    "NotifierClient",
    "PastScan",
    "ReportsClient",
    "RescanAct",
    "RescanEstimate",
    "RescanJob",
    "RescanState",
    "ResultsClient",
    "ScanDetail",
    "ScanFilter",
    "ScanPage",
    "ScanSummary",
    "ServiceClient",
    "ShadowVersion",
    "Submission",
    "Subscription",
    "UploadClient",
    "VerdictPair",
]
