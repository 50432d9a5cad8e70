"""Comparable figures from one command, `python -m benchmarks`: what a call costs the server, beside a bare Echo.

Every server runs as a child process of its own and tells its own CPU time; this process is the client.
`docs/performance.md` says how to read the figures.
"""
