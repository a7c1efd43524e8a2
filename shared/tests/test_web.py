from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from joserfc import jwt
from joserfc.jwk import OctKey
from pydantic import SecretStr

from shared.clients.base import ServiceClient
from shared.errors import AppError, NotAuthenticatedError, RateLimitedError, UnavailableError
from shared.settings import Environment, ServiceSettings
from shared.web import (
    Caller,
    Role,
    VerifiedCaller,
    create_service_app,
    issue_service_token,
    service_caller,
    verify_service_token,
)

SECRET = "a secret of the tests, long enough for HS256"
ALICE = Caller(user_id="alice", role=Role.USER)
router = APIRouter()


class Context:
    broken: str | None = None

    def checks(self) -> dict[str, object]:
        return {"database": self.check}

    async def check(self) -> None:
        if self.broken:
            raise UnavailableError(self.broken)


@router.get("/limited")
async def read_limited() -> None:
    raise RateLimitedError("Slow down.", retry_after_seconds=7)


@router.get("/crash")
async def read_crash() -> None:
    raise RuntimeError("secret detail")


@router.get("/number/{number}")
async def read_number(number: int) -> int:
    return number


@router.get("/me")
async def read_me(caller: VerifiedCaller) -> Caller:
    return caller


@pytest.fixture
def context() -> Context:
    return Context()


@pytest.fixture
async def client(context: Context) -> AsyncIterator[httpx.AsyncClient]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.context = context
        yield

    app = create_service_app("upload", ServiceSettings(service_secret=SecretStr(SECRET)), lifespan, [router])
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://upload") as client:
            yield client


async def test_an_error_is_problem_details(client: httpx.AsyncClient) -> None:
    answer = await client.get("/limited", headers={"X-Request-ID": "abcdefgh12"})

    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "7"
    assert answer.json() == {
        "type": "urn:fumehood:problem:rate_limited",
        "title": "Too many requests",
        "status": 429,
        "detail": "Slow down.",
        "code": "rate_limited",
        "request_id": "abcdefgh12",
    }


async def test_an_unexpected_error_tells_nothing_of_the_inside(client: httpx.AsyncClient) -> None:
    answer = await client.get("/crash")

    assert (answer.status_code, answer.json()["code"]) == (500, "error")
    assert "secret detail" not in answer.text


async def test_invalid_input_names_the_field(client: httpx.AsyncClient) -> None:
    answer = await client.get("/number/many")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert answer.json()["errors"][0]["field"] == "path.number"


@pytest.mark.parametrize("path", ["/nothing", "/limited/"])
async def test_an_unknown_address_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("given", ["short", "x" * 65, 'in"jected', "new\tline"])
async def test_a_malformed_request_id_is_replaced(client: httpx.AsyncClient, given: str) -> None:
    answer = await client.get("/healthz", headers={"X-Request-ID": given})

    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 32


async def test_readiness_follows_the_checks(client: httpx.AsyncClient, context: Context) -> None:
    assert (await client.get("/readyz")).status_code == 200

    context.broken = "The database does not answer."
    answer = await client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["problems"] == {"database": "The database does not answer."}
    assert (await client.get("/healthz")).status_code == 200


async def test_a_client_carries_the_caller_and_gets_errors_back(client: httpx.AsyncClient) -> None:
    service = ServiceClient("upload", "http://upload", SECRET, client._transport)

    assert (await service._call(ALICE, "GET", "/me")).json() == {"user_id": "alice", "role": "user"}
    with pytest.raises(AppError) as caught:
        await service._call(ALICE, "GET", "/limited")
    assert (caught.value.status, caught.value.code, caught.value.retry_after_seconds) == (429, "rate_limited", 7)


def test_a_token_names_its_caller() -> None:
    token = issue_service_token(SECRET, service_caller("reports"), "results")

    assert verify_service_token(SECRET, token, "results") == Caller(user_id="service:reports", role=Role.SERVICE)


def forged(**changes: object) -> str:
    claims: dict[str, object] = {
        "iss": "fumehood",
        "sub": "alice",
        "role": "user",
        "aud": "results",
        "exp": 9_999_999_999,
    }
    return jwt.encode({"alg": "HS256"}, claims | changes, OctKey.import_key(SECRET))


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        issue_service_token("another secret, long enough for HS256 too", ALICE, "results"),
        issue_service_token(SECRET, ALICE, "upload"),
        forged(exp=1),
        forged(iss="somebody"),
        forged(role="god"),
        "eyJhbGciOiJub25lIn0.eyJpc3MiOiJmdW1laG9vZCIsInN1YiI6ImEiLCJyb2xlIjoiYWRtaW4iLCJhdWQiOiJyZXN1bHRzIn0.",
    ],
)
def test_any_other_token_is_refused(token: str) -> None:
    with pytest.raises(NotAuthenticatedError):
        verify_service_token(SECRET, token, "results")


def test_production_names_what_it_misses() -> None:
    with pytest.raises(ValueError, match="FUMEHOOD_DATABASE_URL, FUMEHOOD_BUS_URL") as caught:
        ServiceSettings(environment=Environment.PRODUCTION)
    assert "FUMEHOOD_SERVICE_SECRET" in str(caught.value)


def test_production_refuses_a_short_secret() -> None:
    with pytest.raises(ValueError, match="32 characters"):
        ServiceSettings(
            environment=Environment.PRODUCTION,
            database_url=SecretStr("postgresql+asyncpg://x"),
            bus_url=SecretStr("amqp://x"),
            objects_url="s3://x",
            service_secret=SecretStr("short"),
        )
