"""A sandbox worker: locks itself in, then unpacks one artifact after another.

Started by the pool as `python -m scanner.sandbox.worker SOCKET_FD FOLDER MEMORY FILE CPU [prepared]`,
with an empty environment. Whatever goes wrong here costs one artifact's coverage.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from scanner.sandbox.confine import ProcessLimits, confine, limit_cpu_from_now
from scanner.sandbox.messages import MAX_LINE_BYTES, UnpackRequest
from scanner.sandbox.slices import SliceReader
from scanner.unpackers import UNPACKERS
from scanner.unpackers.base import GapReason, LimitReachedError, Sink, Unpacker
from scanner.unpackers.libraries import LibrariesNeededError, LibraryMissingError, prepare

# Codecs are imported at first use, which is too late without a file system.
CODECS = ("ascii", "cp1252", "cp437", "idna", "latin-1", "utf-8", "utf-16", "utf-16-be", "utf-16-le", "utf-32")


def main(unpackers: Mapping[str, Unpacker] = UNPACKERS) -> None:
    """Serve until the scanner closes the socket."""
    descriptor, folder, memory_bytes, file_bytes, cpu_seconds = sys.argv[1:6]
    for codec in CODECS:
        codecs.lookup(codec)
    if sys.argv[6:] == ["prepared"]:
        prepare()
    connection = socket.socket(fileno=int(descriptor))
    limits = ProcessLimits(int(memory_bytes), int(file_bytes), int(cpu_seconds))
    done = confine(Path(folder), limits)
    ready = {"kind": "ready", "network_closed_by": done.network_closed_by, "confined_by": done.confined_by}
    connection.sendall(json.dumps(ready).encode() + b"\n")
    while _serve_one(connection, unpackers):
        pass


def _serve_one(connection: socket.socket, unpackers: Mapping[str, Unpacker]) -> bool:
    line, descriptors, _, _ = socket.recv_fds(connection, MAX_LINE_BYTES, 2)
    if not line:
        return False
    while not line.endswith(b"\n"):  # the kernel hands long messages over in pieces
        line += connection.recv(MAX_LINE_BYTES)
    source_descriptor, spool_descriptor = descriptors
    request = UnpackRequest.decode(line)
    limit_cpu_from_now(request.limits.cpu_seconds)
    source = io.BufferedReader(SliceReader(source_descriptor, request.offset, request.size), 64 * 1024)
    try:
        with os.fdopen(spool_descriptor, "wb", buffering=256 * 1024) as spool:
            sink = Sink(spool, request.limits, request.size, connection.sendall, request.passwords, request.parameters)
            _unpack(unpackers[request.unpacker], source, request.name, sink)
            sink.finish()
    except LibrariesNeededError:
        connection.sendall(b'{"kind": "unprepared"}\n')
    finally:
        os.close(source_descriptor)
    return True


def _unpack(unpacker: Unpacker, source: BinaryIO, name: str, sink: Sink) -> None:
    """Run the unpacker; a bug in a parser that shows as an exception costs what it had not reached."""
    try:
        unpacker.unpack(source, name, sink)
    except LibrariesNeededError:
        raise
    except LibraryMissingError as error:
        detail = f"The library {error} is not installed, so {unpacker.name} files cannot be opened here."
        sink.gap(GapReason.UNSUPPORTED, detail)
    except LimitReachedError as error:
        sink.gap(GapReason.LIMIT_REACHED, str(error))
    except MemoryError:
        sink.gap(GapReason.ERROR, "Unpacking needs more memory than the sandbox allows.")
    except Exception as error:  # noqa: BLE001 -- the edge of the process: hostile input may raise anything
        sink.gap(GapReason.ERROR, f"The {unpacker.name} parser failed with {type(error).__name__}.")


if __name__ == "__main__":
    main()
