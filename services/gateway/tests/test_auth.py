"""Tokens, keys, passwords and addresses."""

from __future__ import annotations

import base64
import hmac
import json
import stat
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from joserfc import jwt
from joserfc.jwk import ECKey
from pydantic import SecretStr

from gateway.auth.limits import network_of
from gateway.auth.passwords import Passwords
from gateway.auth.tokens import AccessTokens, load_signing_key
from gateway.config import Settings
from gateway.context import Context
from gateway.models.accounts import User
from shared.errors import PermanentError

CLAIMS = {"iss": "fumehood", "aud": "fumehood-api", "sub": "someone", "role": "admin"}


def claims(user: User, **changes: Any) -> dict[str, Any]:
    moment = int(time.time())
    return {**CLAIMS, "sub": user.id, "iat": moment, "exp": moment + 60, **changes}


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


async def call(api: httpx.AsyncClient, token: str) -> int:
    answer = await api.get("/api/v1/submissions", headers={"Authorization": f"Bearer {token}"})
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    return answer.status_code


async def test_a_token_of_ours_is_taken(api: httpx.AsyncClient, context: Context, user: User) -> None:
    assert await call(api, context.tokens.issue(user)) == 200


@pytest.mark.parametrize(
    "changes",
    [{"exp": 1}, {"aud": "other"}, {"iss": "other"}, {"sub": "nobody"}, {"iat": None}, {"exp": None}],
)  # fmt: skip
async def test_a_token_with_wrong_claims_is_refused(
    api: httpx.AsyncClient, context: Context, user: User, changes: dict[str, Any]
) -> None:
    made = {name: value for name, value in claims(user, **changes).items() if value is not None}

    assert await call(api, jwt.encode({"alg": "ES256"}, made, context.tokens._key)) == 401


async def test_a_token_of_another_key_is_refused(api: httpx.AsyncClient, user: User) -> None:
    other = ECKey.generate_key("P-256", private=True)

    assert await call(api, jwt.encode({"alg": "ES256"}, claims(user), other)) == 401


async def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(
    api: httpx.AsyncClient, context: Context, user: User
) -> None:
    signed = f"{encoded({'alg': 'HS256'})}.{encoded(claims(user))}"
    signature = hmac.digest(context.tokens._key.as_pem(private=False), signed.encode(), "sha256")

    assert await call(api, f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}") == 401


async def test_a_token_without_a_signature_is_refused(api: httpx.AsyncClient, user: User) -> None:
    assert await call(api, f"{encoded({'alg': 'none'})}.{encoded(claims(user))}.") == 401


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "\x00", "." * 5000])
async def test_nonsense_is_refused(visitor: httpx.AsyncClient, token: str) -> None:
    assert await call(visitor, token.replace("\x00", "%00")) == 401


async def test_anybody_can_check_a_token_with_the_published_key(
    visitor: httpx.AsyncClient, context: Context, user: User
) -> None:
    (published,) = (await visitor.get("/.well-known/jwks.json")).json()["keys"]

    assert "d" not in published
    token = jwt.decode(context.tokens.issue(user), ECKey.import_key(published), algorithms=["ES256"])
    assert token.claims["sub"] == user.id
    assert token.header["kid"] == published["kid"]


def test_in_development_the_key_is_kept_where_only_its_owner_reads_it(tmp_path: Path, user: User) -> None:
    settings = Settings(data_dir=tmp_path)
    first, second = (AccessTokens(load_signing_key(settings), 60) for _ in range(2))

    assert second.read(first.issue(user))[0] == user.id
    assert stat.S_IMODE((tmp_path / "jwt-key.pem").stat().st_mode) == 0o600


def test_a_key_that_is_none_of_ours_stops_the_start() -> None:
    other_curve = ECKey.generate_key("P-384", private=True).as_pem(private=True).decode()
    public = ECKey.generate_key("P-256", private=True).as_pem(private=False).decode()
    for pem in ("no key", other_curve, public):
        with pytest.raises(PermanentError, match="FUMEHOOD_JWT_PRIVATE_KEY"):
            load_signing_key(Settings(jwt_private_key=SecretStr(pem)))


async def test_a_password_is_hashed_with_argon2id_and_checked() -> None:
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    hashed = await passwords.hash("correct")

    assert hashed.startswith("$argon2id$")
    assert await passwords.matches("correct", hashed)
    assert not await passwords.matches("wrong", hashed)
    assert not await passwords.matches("nobody has this password", None)
    assert not await passwords.matches("correct", "no hash")
    assert Passwords().is_outdated(hashed)


@pytest.mark.parametrize(
    ("address", "counted"),
    [("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), ("::ffff:192.0.2.7", "192.0.2.7"),
     ("unknown", "unknown")],
)  # fmt: skip
def test_ipv6_is_counted_by_network(address: str, counted: str) -> None:
    assert network_of(address) == counted
