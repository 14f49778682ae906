"""Memory, mailboxes and leases in Redis: the only place that imports it."""
