"""The API of a running server, as commands use it: signed in, and with errors that keep their meaning."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from cli.embedded import DEFAULT_DATA_DIRECTORY, embedded_settings
from shared.errors import AppError, ClientError, UnavailableError

Server = Annotated[
    str | None,
    typer.Option(envvar="FUMEHOOD_SERVER", help="Address of the server; without it that of `fumehood up` here."),
]
Token = Annotated[str | None, typer.Option(envvar="FUMEHOOD_TOKEN", help="Access token of an administrator.")]
Email = Annotated[str | None, typer.Option(envvar="FUMEHOOD_EMAIL", help="Account of an administrator.")]
Password = Annotated[str | None, typer.Option(envvar="FUMEHOOD_PASSWORD", help="Asked for when needed and not given.")]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A ready token, or the account to get one with."""

    token: str | None
    email: str | None
    password: str | None


class _Tokens(httpx.Auth):
    """Gets an access token when there is none or the server says that it has expired."""

    def __init__(self, obtain: Callable[[], Awaitable[str]]) -> None:
        self._obtain = obtain
        self._token: str | None = None

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the request, once more with a new token if the first was refused."""
        fresh = self._token is None
        token = self._token = self._token or await self._obtain()
        request.headers["Authorization"] = f"Bearer {token}"
        answer = yield request
        if answer.status_code == httpx.codes.UNAUTHORIZED and not fresh:
            token = self._token = await self._obtain()
            request.headers["Authorization"] = f"Bearer {token}"
            yield request


@asynccontextmanager
async def administrator_api(server: str | None, credentials: Credentials) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client that acts as an administrator.

    Without credentials it is the administrator of the one-process installation whose data directory this is.
    Raises ClientError if there is none.
    """
    address = server or f"http://localhost:{os.environ.get('FUMEHOOD_PORT') or 8000}"
    async with httpx.AsyncClient(base_url=address, timeout=httpx.Timeout(60, connect=10)) as http:

        async def obtain() -> str:
            if credentials.token is not None:
                return credentials.token
            if credentials.email is not None:
                form = {"username": credentials.email, "password": credentials.password}
                return str((await call(http, "POST", "/api/v1/auth/token", data=form, auth=None))["access_token"])
            return await _local_token()

        http.auth = _Tokens(obtain)
        yield http


async def call(http: httpx.AsyncClient, method: str, path: str, **options: Any) -> Any:
    """Return the JSON of an answer. Raises ClientError and UnavailableError with what the server says."""
    try:
        answer = await http.request(method, path, **options)
    except httpx.TransportError as error:
        message = f"{http.base_url} does not answer ({type(error).__name__}); is the server running?"
        raise UnavailableError(message) from None
    if answer.is_error:
        raise problem_of(answer)
    return answer.json()


def problem_of(answer: httpx.Response) -> AppError:
    """Return the error that an answer describes."""
    try:
        problem = answer.json()
        detail, title = str(problem["detail"]), str(problem["title"])
    except (ValueError, KeyError, TypeError):
        detail, title = f"The server answered {answer.status_code}.", "Error"
    kind = UnavailableError if answer.status_code >= 502 else ClientError
    retry_after = answer.headers.get("Retry-After", "")
    error = kind(f"{title}: {detail}", retry_after_seconds=int(retry_after) if retry_after.isdigit() else None)
    error.status = answer.status_code
    return error


def asked_credentials(token: str | None, email: str | None, password: str | None) -> Credentials:
    """Return the credentials of the command line, having asked for a password that is missing."""
    if email is not None and token is None and password is None:
        password = typer.prompt("Password", hide_input=True)
    return Credentials(token=token, email=email, password=password)


async def _local_token() -> str:
    from gateway.config import Settings
    from gateway.main import new_administrator_token

    data = _local_data()
    # Only where something was installed: neither secret nor database is to be made by asking.
    here = (data / "service-secret").exists()
    settings = Settings(**embedded_settings(data, "gateway"), data_dir=data) if here else None
    token = await new_administrator_token(settings) if settings is not None else None
    if token is None:
        raise ClientError(
            f"{data} is not the data of an installation that runs here. Set FUMEHOOD_DATA_DIR, or sign in to a server "
            "as an administrator with --server and --email."
        )
    return token


def _local_data() -> Path:
    return Path(os.environ.get("FUMEHOOD_DATA_DIR") or DEFAULT_DATA_DIRECTORY).resolve()
