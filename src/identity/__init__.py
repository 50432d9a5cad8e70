"""Identity: accounts, sessions, second factors and invitations behind one gRPC contract."""

__version__ = "0.1.0"
