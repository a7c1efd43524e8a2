"""Tables of the scanner: it keeps nothing but what it handled and what it still has to say."""

from __future__ import annotations

import sqlalchemy as sa

from shared.messaging.tables import add_messaging_tables

METADATA = sa.MetaData()
add_messaging_tables(METADATA)
