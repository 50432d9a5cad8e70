"""The REST container: the contract over HTTP, for browsers and apps, and the dialects of the five products.

It knows the service only through the stubs of the contract and its own settings, and is the only place that knows
cookies, origins, forms and pages. A request becomes an `Exchange`, finds its `Endpoint`, makes RPCs, and answers;
every refusal, of the service or of our own, is a `Refusal` that the endpoint's door renders in its own shape.
"""
