"""Everything that hashes, signs, seals or draws random bytes.

Owns the formats of passwords, tokens and keys at rest, and the lane that keeps hashing from starving
the rest. May import the domain's values and errors; never gRPC, SQL, mail or settings.
"""
