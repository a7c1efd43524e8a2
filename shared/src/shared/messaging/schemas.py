"""The written contract of the bus, generated from the event classes.

    python -m shared.messaging.schemas docs/events           write asyncapi.yaml and schemas/
    python -m shared.messaging.schemas --check docs/events   exit 1 if they differ from the classes

A developers' command: it needs PyYAML, which no service has.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from shared.events import EVENTS, Event
from shared.messaging.queues import EXCHANGE

Document = dict[str, Any]

_HEADERS: Document = {
    "type": "object",
    "description": "CloudEvents 1.0 attributes (AMQP binding, binary mode) and W3C trace context.",
    "required": [f"cloudEvents:{name}" for name in ("specversion", "id", "type", "source", "time")],
    "properties": {
        "cloudEvents:specversion": {"type": "string", "const": "1.0"},
        "cloudEvents:id": {"type": "string", "description": "Unique per event; the same when it is delivered again."},
        "cloudEvents:type": {"type": "string", "description": "The routing key."},
        "cloudEvents:source": {"type": "string", "description": "/fumehood/ and the publishing service."},
        "cloudEvents:time": {"type": "string", "format": "date-time"},
        "traceparent": {"type": "string", "description": "W3C Trace Context, if traces are on."},
        "tracestate": {"type": "string"},
    },
}


def files() -> dict[str, str]:
    """Return the content of every generated file by its path below docs/events."""
    schemas = {f"schemas/{name}.json": _json(_payload_schema(event)) for name, event in EVENTS.items()}
    return {"asyncapi.yaml": _yaml(asyncapi()), **schemas}


def asyncapi() -> Document:
    """Return the AsyncAPI 3.0 document (https://www.asyncapi.com/docs/reference/specification/v3.0.0)."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Fumehood events",
            "version": "1.0.0",
            "description": "What the services of Fumehood tell each other, and what other systems may listen to.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "rabbitmq": {
                "host": "localhost:5672",
                "protocol": "amqp",
                "protocolVersion": "0-9-1",
                "description": "RabbitMQ 3.10 or later; the address is the installation's own.",
            }
        },
        "channels": {name: _channel(event) for name, event in EVENTS.items()},
        "operations": {key: value for event in EVENTS.values() for key, value in _operations(event).items()},
        "components": {
            "messages": {event.__name__: _message(event) for event in EVENTS.values()},
            "messageTraits": {"cloudEvent": {"contentType": "application/json", "headers": _HEADERS}},
        },
    }


def _channel(event: type[Event]) -> Document:
    return {
        "address": event.type,
        "description": _summary(event),
        "messages": {event.__name__: {"$ref": f"#/components/messages/{event.__name__}"}},
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {"name": EXCHANGE, "type": "topic", "durable": True, "autoDelete": False},
                "bindingVersion": "0.3.0",
            }
        },
    }


def _operations(event: type[Event]) -> dict[str, Document]:
    sent = {f"{event.owner()}.send.{event.type}": _operation(event, "send", event.owner())}
    received = {
        f"{service}.receive.{event.type}": {
            **_operation(event, "receive", service),
            "x-queue": f"{service}.{event.type}",
        }
        for service in event.consumers
    }
    return {**sent, **received}


def _operation(event: type[Event], action: str, service: str) -> Document:
    channel = f"#/channels/{event.type}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "tags": [{"name": service}],
        "messages": [{"$ref": f"{channel}/messages/{event.__name__}"}],
        "bindings": {"amqp": {"deliveryMode": 1 if event.transient else 2, "bindingVersion": "0.3.0"}},
    }


def _message(event: type[Event]) -> Document:
    return {
        "name": event.type,
        "title": event.__name__,
        "summary": _summary(event),
        "x-transient": event.transient,
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "payload": {"$ref": f"./schemas/{event.type}.json"},
    }


def _payload_schema(event: type[Event]) -> Document:
    schema = event.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _summary(event: type[Event]) -> str:
    return (event.__doc__ or "").strip().splitlines()[0]


def _json(document: Document) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _yaml(document: Document) -> str:
    head = "# Generated by `python -m shared.messaging.schemas docs/events`; do not edit.\n"
    return head + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def differing(folder: Path) -> list[str]:
    """Return the paths below the folder that are missing, outdated or no longer generated."""
    expected = files()
    present = {str(path.relative_to(folder)) for path in (folder / "schemas").glob("*.json")}
    outdated = {
        name
        for name, content in expected.items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != content
    }
    return sorted(outdated | (present - expected.keys()))


def write(folder: Path) -> None:
    """Write every generated file and remove the schemas of events that are gone."""
    expected = files()
    (folder / "schemas").mkdir(parents=True, exist_ok=True)
    for path in (folder / "schemas").glob("*.json"):
        if str(path.relative_to(folder)) not in expected:
            path.unlink()
    for name, content in expected.items():
        (folder / name).write_text(content, encoding="utf-8")


def main() -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description="Write the AsyncAPI document and the JSON Schemas of all events.")
    parser.add_argument("folder", type=Path, help="docs/events")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if something would change")
    arguments = parser.parse_args()
    if not arguments.check:
        write(arguments.folder)
        return 0
    names = differing(arguments.folder)
    sys.stdout.writelines(f"{name} differs from the event classes\n" for name in names)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
