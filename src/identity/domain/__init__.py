"""The rules and use cases, in plain synchronous Python.

Owns every decision the service takes: who may sign in, when a token dies, what a mail is sent for.
May import the standard library and nothing else: no gRPC, no SQL, no clock of its own. Everything
that touches the world comes in through the protocols of `ports`.
"""
