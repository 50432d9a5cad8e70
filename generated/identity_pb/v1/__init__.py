"""Stubs of identity.v1."""
