"""The upload service: streams files in, hashes and stores them once, and announces them."""
