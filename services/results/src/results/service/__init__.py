"""Use cases of the results service: scans, scanning again, and detectors on trial beside the live ones."""

from results.service.comparison import ComparisonService
from results.service.rescans import RescanService
from results.service.scans import ResultsService

__all__ = ["ComparisonService", "RescanService", "ResultsService"]
