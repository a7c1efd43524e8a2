"""What goes through the pipes between the pool and a worker.

A job is a length and the HTML. The answer is one byte, DONE or FAILED, then a length and the PDF
or the error text.
"""

from __future__ import annotations

import struct

LENGTH = struct.Struct(">I")
DONE = b"\0"
FAILED = b"\1"
