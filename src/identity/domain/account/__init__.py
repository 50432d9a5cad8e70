"""AccountService: running the place. One module per RPC, or per RPC and its twin."""
