"""The web frame of a service: app factory, problem details, service tokens."""

from shared.web.app import ServiceContext, VerifiedCaller, create_service_app, stop, ticks
from shared.web.problems import Problem, log_error, problem_response, to_app_error
from shared.web.server import Server, end_threads, run_service
from shared.web.tokens import Caller, Role, issue_service_token, service_caller, verify_service_token

__all__ = [
    "Caller",
    "Problem",
    "Role",
    "Server",
    "ServiceContext",
    "VerifiedCaller",
    "create_service_app",
    "end_threads",
    "issue_service_token",
    "log_error",
    "problem_response",
    "run_service",
    "service_caller",
    "stop",
    "ticks",
    "to_app_error",
    "verify_service_token",
]
