"""How a scan is put for people: the same words and the same order on the pages and in the reports."""
