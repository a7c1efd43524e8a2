"""Use cases of the gateway: accounts, and submissions through the internal services."""

from gateway.service.accounts import AccountService
from gateway.service.submissions import SubmissionService

__all__ = ["AccountService", "SubmissionService"]
