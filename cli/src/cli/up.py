"""`fumehood up`: all six services in one process, on embedded backends."""

from __future__ import annotations

import gc
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import typer
from fastapi import FastAPI
from typing_extensions import override

from cli.embedded import SERVICES, bus_url, data_directory, database_url, detectors_directory, embedded_settings
from gateway.config import Settings as GatewaySettings
from shared.database import Database
from shared.errors import UnavailableError
from shared.messaging import Bus, running_bus
from shared.migration import migrate
from shared.telemetry import configure_logging, configure_telemetry, shut_down_telemetry
from shared.web import Server


async def run_up() -> None:
    """Run until Ctrl-C or SIGTERM. Raises UnavailableError if the data or the port is in use."""
    data = data_directory()
    settings = GatewaySettings(**embedded_settings(data, "gateway"), data_dir=data)
    configure_logging(settings)
    configure_telemetry(settings, "up")
    try:
        async with AsyncExitStack() as stack:
            bus = await stack.enter_async_context(running_bus(bus_url(data)))
            for service in SERVICES:  # one after the other: Alembic's environment is global to the process
                await _migrate(database_url(data, service), service)
            transports = await _start_internal_services(stack, bus)

            async def finish_start() -> None:
                await _start_scanner(stack, bus)
                gc.freeze()
                gc.enable()

            await _serve_gateway(settings, bus, transports, finish_start)
    finally:
        shut_down_telemetry()


async def _migrate(url: str, service: str) -> None:
    database = Database(url, schema=service)
    try:
        await migrate(database)
    finally:
        await database.close()


async def _start_internal_services(stack: AsyncExitStack, bus: Bus) -> dict[str, httpx.AsyncBaseTransport]:
    from notifier.config import Settings as NotifierSettings
    from notifier.main import create_app as create_notifier
    from reports.config import Settings as ReportsSettings
    from reports.main import create_app as create_reports
    from results.config import Settings as ResultsSettings
    from results.main import create_app as create_results
    from upload.config import Settings as UploadSettings
    from upload.main import create_app as create_upload

    data = data_directory()
    transports: dict[str, httpx.AsyncBaseTransport] = {}

    async def start(service: str, app: FastAPI) -> None:
        await stack.enter_async_context(app.router.lifespan_context(app))
        transports[service] = httpx.ASGITransport(app, raise_app_exceptions=False)

    await start("results", create_results(ResultsSettings(**embedded_settings(data, "results")), bus))
    await start("reports", create_reports(ReportsSettings(**embedded_settings(data, "reports")), bus, transports))
    await start("notifier", create_notifier(NotifierSettings(**embedded_settings(data, "notifier")), bus))
    await start("upload", create_upload(UploadSettings(**embedded_settings(data, "upload")), bus))
    return transports


async def _start_scanner(stack: AsyncExitStack, bus: Bus) -> None:
    """Start the scanner last: it loads its models for a while, and the bus keeps what is uploaded until then."""
    from scanner.config import Settings
    from scanner.main import create_app

    settings = Settings(**embedded_settings(data_directory(), "scanner"), detectors_dir=detectors_directory())
    app = create_app(settings, bus)
    await stack.enter_async_context(app.router.lifespan_context(app))


class _Server(Server):
    """Says when it listens. The other services are closed after it, so that what it was asked is finished."""

    on_started: Callable[[], Awaitable[None]]

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            await self.on_started()


async def _serve_gateway(
    settings: GatewaySettings,
    bus: Bus,
    transports: dict[str, httpx.AsyncBaseTransport],
    finish_start: Callable[[], Awaitable[None]],
) -> None:
    from gateway.main import create_app, ensure_administrator

    app = create_app(settings, bus, transports)
    server = _Server.of(app)

    async def announce() -> None:
        port = server.servers[0].sockets[0].getsockname()[1]
        _announce(f"http://localhost:{port}", await ensure_administrator(app.state.context))
        await finish_start()

    server.on_started = announce
    await _refuse_exit(server)


async def _refuse_exit(server: Server) -> None:
    try:
        await server.serve()
    except SystemExit:
        config = server.config
        message = f"Port {config.port} on {config.host} cannot be used; set FUMEHOOD_PORT to another one."
        raise UnavailableError(message) from None


def _announce(address: str, link_path: str | None) -> None:
    typer.secho(f"\n  Fumehood is ready at {address}", bold=True)
    if link_path is not None:
        typer.echo(f"  Administrator, sign in once with: {address}{link_path}")
    typer.echo("  Ctrl-C stops it; nothing is lost.\n")
