"""What a process tells machines about itself: metrics, and traces.

Knows the rooms that it watches; they know nothing of it, and are handed functions by `server.py`. May import
everything below the server, and alone imports prometheus-client and OpenTelemetry, each only where a setting asks for
it. Labels and attributes are words of our own code, never of a caller (LO-02).
"""
