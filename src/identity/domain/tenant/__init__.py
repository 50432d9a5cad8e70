"""TenantService: the place itself, and the roles it makes. One module per RPC, or per RPC and its twin."""
