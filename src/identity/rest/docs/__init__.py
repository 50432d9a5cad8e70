"""The documentation that the container serves: OpenAPI documents, and a page for each that works offline.

The canonical document is generated with the stubs; a dialect's is made from its operations.
"""
