"""The notifier service: tells other systems that a scan ended, with signed webhooks."""
