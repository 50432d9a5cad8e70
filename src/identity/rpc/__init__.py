"""The gRPC edge: the pipeline around every call, and the servicers that translate for the domain.

May import the domain, the generated stubs, gRPC, Protobuf and structlog; never the store, crypto, mail,
settings or REST. A servicer method is three moves (read the request, call one domain function, build the
response); everything that is the same for all calls is in `pipeline.py` and what it uses.
"""
