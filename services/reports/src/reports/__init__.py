"""The reports service: renders what is known of a scan as JSON, HTML and PDF."""
