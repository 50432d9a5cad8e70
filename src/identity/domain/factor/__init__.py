"""FactorService: a person's own second factors. One module per RPC, or per RPC and its twin."""
