"""`fumehood migrate`: schema and role per service on PostgreSQL, newest tables everywhere."""

from __future__ import annotations

import os

import sqlalchemy as sa
import typer
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from cli.embedded import SERVICES, data_directory, database_url
from shared.database import Database
from shared.errors import ClientError, UnavailableError
from shared.migration import migrate


async def run_migrate() -> None:
    """Migrate all six databases. Raises ClientError for missing settings, UnavailableError without a server."""
    admin_url = os.environ.get("FUMEHOOD_DATABASE_ADMIN_URL")
    if admin_url:
        await _prepare_server(make_url(admin_url))
        urls = {service: _service_url(make_url(admin_url), service) for service in SERVICES}
    else:
        data = data_directory()
        urls = {service: database_url(data, service) for service in SERVICES}
    for service, url in urls.items():
        database = Database(url, schema=service)
        try:
            await migrate(database)
        finally:
            await database.close()
        typer.echo(f"{service}: newest schema")


async def _prepare_server(admin_url: URL) -> None:
    if admin_url.drivername != "postgresql+asyncpg":
        raise ClientError("FUMEHOOD_DATABASE_ADMIN_URL must begin with postgresql+asyncpg://")
    engine = create_async_engine(admin_url)
    try:
        async with engine.begin() as connection:
            # Two migration jobs at once must not both make the same role.
            await connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('fumehood migrate'))"))
            for service in SERVICES:
                await _prepare_service(connection, service)
    except (OSError, DBAPIError) as error:
        raise UnavailableError(f"PostgreSQL at {admin_url.host} refused: {error}") from None
    finally:
        await engine.dispose()


async def _prepare_service(connection: AsyncConnection, service: str) -> None:
    role = _role(service)
    quote = connection.dialect.identifier_preparer.quote
    exists = await connection.scalar(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    verb = "ALTER" if exists else "CREATE"
    # Statements on roles take no bind parameters; the server itself quotes the password.
    literal = await connection.scalar(sa.text("SELECT quote_literal(:password)"), {"password": _password(service)})
    await connection.exec_driver_sql(f"{verb} ROLE {quote(role)} LOGIN PASSWORD {literal}")
    await connection.exec_driver_sql(f"GRANT {quote(role)} TO CURRENT_USER")
    await connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {quote(service)} AUTHORIZATION {quote(role)}")


def _role(service: str) -> str:
    prefix = os.environ.get("FUMEHOOD_DATABASE_ROLE_PREFIX", "fumehood_")
    return f"{prefix}{service}"


def _password(service: str) -> str:
    name = f"FUMEHOOD_{service.upper()}_DATABASE_PASSWORD"
    password = os.environ.get(name)
    if not password:
        raise ClientError(f"{name} is not set; it becomes the password of the service's database role.")
    return password


def _service_url(admin_url: URL, service: str) -> str:
    return admin_url.set(username=_role(service), password=_password(service)).render_as_string(hide_password=False)
