"""The results service: keeps scans, artifacts and findings, and ends every scan by its deadline."""
