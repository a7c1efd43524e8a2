from __future__ import annotations

import httpx
import pytest

from shared.web import Caller, Role, issue_service_token

SECRET = "a secret of the tests, long enough for HS256"
PATH = "/internal/v1/subscriptions"


def as_user(user_id: str) -> dict[str, str]:
    caller = Caller(user_id=user_id, role=Role.USER)
    return {"Authorization": f"Bearer {issue_service_token(SECRET, caller, 'notifier')}"}


async def test_a_webhook_is_made_listed_and_deleted(client: httpx.AsyncClient) -> None:
    made = await client.post(PATH, json={"url": "http://93.184.215.14/hook"})

    assert made.status_code == 201
    body = made.json()
    assert body["secret"].startswith("whsec_")
    assert body["event_types"] == ["results.scan_recorded.v1", "results.scan_expired.v1"]
    assert (await client.get(PATH)).json() == [body | {"secret": None}]
    assert (await client.get(PATH, headers=as_user("bob"))).json() == []
    assert (await client.delete(f"{PATH}/{body['id']}", headers=as_user("bob"))).status_code == 404
    assert (await client.delete(f"{PATH}/{body['id']}")).status_code == 204
    assert (await client.get(PATH)).json() == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"url": "http://127.0.0.1/"}, 422, "address_not_allowed"),
        ({"url": "http://93.184.215.14/", "event_types": ["x"]}, 422, "invalid_input"),
        ({"url": "http://93.184.215.14/", "event_types": []}, 422, "invalid_input"),
        ({"url": "http://93.184.215.14/" + "a" * 2000}, 422, "invalid_input"),
        ({"url": "http://93.184.215.14/", "everyone": True}, 403, "not_allowed"),
        ({}, 422, "invalid_input"),
    ],
)
async def test_a_bad_request_gets_a_problem_that_says_why(
    client: httpx.AsyncClient, body: dict[str, object], status: int, code: str
) -> None:
    answer = await client.post(PATH, json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_call_without_a_service_token_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.get(PATH, headers={"Authorization": ""})).status_code == 401


async def test_readiness_names_database_bus_and_sender(client: httpx.AsyncClient) -> None:
    assert (await client.get("/readyz")).json() == {"status": "ready"}
