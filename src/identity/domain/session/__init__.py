"""SessionService: staying and leaving. One module per RPC."""
