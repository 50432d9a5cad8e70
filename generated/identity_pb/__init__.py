"""Python stubs of the contract; generated, never edited."""
