"""The dialects of the five products: one module each, named after its preset, with a `DIALECT`.

A dialect is shape and nothing else: paths, JSON, cookies, status codes and words. What is allowed, who may do it and
how long things live is policy, and stands in the preset. docs/dialects says how to write a sixth.
"""
