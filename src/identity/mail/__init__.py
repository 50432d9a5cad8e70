"""Mail: renders what the outbox holds and hands it to a transport."""
