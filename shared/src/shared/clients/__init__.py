"""Typed clients of the internal HTTP interfaces, with the models that cross them."""

from shared.clients.base import ServiceClient
from shared.clients.notifier import Delivery, NewSubscription, NotifierClient, Subscription
from shared.clients.reports import ReportsClient
from shared.clients.results import FileSummary, ResultsClient, ScanDetail, ScanFilter, ScanPage, ScanSummary
from shared.clients.upload import Submission, UploadClient

__all__ = [
    "Delivery",
    "FileSummary",
    "NewSubscription",
    "NotifierClient",
    "ReportsClient",
    "ResultsClient",
    "ScanDetail",
    "ScanFilter",
    "ScanPage",
    "ScanSummary",
    "ServiceClient",
    "Submission",
    "Subscription",
    "UploadClient",
]
