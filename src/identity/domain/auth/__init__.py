"""AuthService: becoming somebody. One module per RPC, or per RPC and its twin."""
