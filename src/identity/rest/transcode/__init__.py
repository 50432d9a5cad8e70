"""Between JSON and the messages of the contract, as the proto3 JSON mapping has it, and stricter on the way in.

Converters are compiled once for each message type, from its descriptor: what a field needs is decided then and not
for every request, so that the container costs little beside the call that it makes.
"""
