"""What every request passes before a handler sees it: HTTPS, hosts, body limits, security headers, calm closing."""

from gateway.edge.bodies import BodyLimitMiddleware, LingeringCloseMiddleware
from gateway.edge.headers import SecurityHeadersMiddleware, add_security_headers
from gateway.edge.transport import TransportSecurityMiddleware

__all__ = [
    "BodyLimitMiddleware",
    "LingeringCloseMiddleware",
    "SecurityHeadersMiddleware",
    "TransportSecurityMiddleware",
    "add_security_headers",
]
