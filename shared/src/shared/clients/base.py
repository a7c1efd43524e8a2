"""How one service calls another: httpx, a signed token for the caller, errors that keep their meaning."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from shared.errors import AppError, ClientError, PermanentError, UnavailableError
from shared.web.problems import MEDIA_TYPE
from shared.web.tokens import Caller, issue_service_token

TIMEOUT = httpx.Timeout(30.0, connect=5.0)


class ServiceClient:
    """Calls one service. With a `transport` the calls stay in this process (`fumehood up`)."""

    def __init__(
        self, service: str, base_url: str, secret: str, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._service = service
        self._secret = secret
        self._http = httpx.AsyncClient(base_url=base_url, timeout=TIMEOUT, transport=transport)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def check(self) -> None:
        """Raise UnavailableError unless the service is alive."""
        async with self._unavailable_when_away():
            answer = await self._http.get("/healthz")
        if answer.is_error:
            raise UnavailableError(f"The {self._service} service is not well.", retry_after_seconds=5)

    async def _call(self, caller: Caller, method: str, path: str, **options: Any) -> httpx.Response:
        async with self._unavailable_when_away():
            answer = await self._http.request(method, path, headers=self._headers(caller, options), **options)
        _raise_for_problem(answer)
        return answer

    @asynccontextmanager
    async def _stream(self, caller: Caller, method: str, path: str, **options: Any) -> AsyncIterator[httpx.Response]:
        async with (
            self._unavailable_when_away(),
            self._http.stream(method, path, headers=self._headers(caller, options), **options) as answer,
        ):
            if answer.is_error:
                await answer.aread()
            _raise_for_problem(answer)
            yield answer

    def _headers(self, caller: Caller, options: dict[str, Any]) -> dict[str, str]:
        token = issue_service_token(self._secret, caller, self._service)
        return {**options.pop("headers", {}), "Authorization": f"Bearer {token}"}

    @asynccontextmanager
    async def _unavailable_when_away(self) -> AsyncIterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            message = f"The {self._service} service does not answer."
            raise UnavailableError(message, retry_after_seconds=5) from error


def _raise_for_problem(answer: httpx.Response) -> None:
    if not answer.is_error:
        return
    if answer.headers.get("content-type", "").split(";")[0] != MEDIA_TYPE:
        raise UnavailableError(f"A service answered {answer.status_code}.", retry_after_seconds=5)
    problem = answer.json()
    kind: type[AppError] = PermanentError
    if answer.status_code < 500:
        kind = ClientError
    elif answer.status_code == 503:
        kind = UnavailableError
    retry_after = answer.headers.get("Retry-After", "")
    error = kind(problem["detail"], retry_after_seconds=int(retry_after) if retry_after.isdigit() else None)
    error.status, error.code, error.title = answer.status_code, problem["code"], problem["title"]
    raise error
