"""The OpenAPI document of the canonical API, from the descriptor image: paths, comments, rules and errors.

A library of `generate.py`, which writes what `document` gives to generated/identity_pb/v1/openapi.json.
"""

import re
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from openapi_schemas import Contract, Schemas

ERRORS = "Status"
_BEARER, _SERVICE_KEY = "accessToken", "serviceKey"
_SECURITY = {"ACCESS_CALLER": _BEARER, "ACCESS_ADMIN": _BEARER, "ACCESS_SERVICE": _SERVICE_KEY}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def document(image: FileDescriptorSet, version: str) -> dict[str, Any]:
    """The document as JSON values."""
    contract = Contract(image)
    schemas = Schemas(contract)
    paths: dict[str, Any] = {}
    tags = []
    for service in contract.services():
        tags.append({"name": service.name, "description": contract.comment(service)})
        for method in service.methods:
            for number, rule in enumerate(contract.http_rules(method)):
                verb = rule.WhichOneof("pattern")
                operation = _operation(contract, schemas, method, rule, verb)
                operation["operationId"] = method.name + (f"_{number}" if number else "")
                paths.setdefault(getattr(rule, verb), {})[verb] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Identity",
            "version": version,
            "summary": "Accounts, sessions, second factors and invitations.",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": {ERRORS: _STATUS, **dict(sorted(schemas.made.items()))},
            "responses": {
                "Refused": {
                    "description": "The request is refused; `details` say why.",
                    "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{ERRORS}"}}},
                }
            },
            "securitySchemes": {
                _BEARER: {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The access token of a session.",
                },
                _SERVICE_KEY: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A service key, made with `identity service-key create`.",
                },
            },
        },
    }


def _operation(contract: Contract, schemas: Schemas, method: MethodDescriptor, rule: Any, verb: str) -> dict[str, Any]:
    comment = contract.comment(method)
    path = getattr(rule, verb)
    in_path = _PLACEHOLDER.findall(path)
    operation: dict[str, Any] = {
        "tags": [method.containing_service.name],
        "summary": comment.partition(". ")[0].partition(".\n")[0].replace("\n", " ").rstrip("."),
        "description": comment,
    }
    if parameters := list(_parameters(contract, schemas, method.input_type, rule, verb, in_path)):
        operation["parameters"] = parameters
    if rule.body:
        schema = schemas.request(method.input_type, without=in_path)
        operation["requestBody"] = {
            "required": bool(schemas.required(method.input_type)),
            "content": {"application/json": {"schema": schema}},
        }
    streams = "text/event-stream" if method.server_streaming else "application/json"
    reply = schemas.reply(method.output_type)
    operation["responses"] = {
        "200": {
            "description": contract.comment(method.output_type) or "Done.",
            # Each event carries such an object; the stream as a whole is text.
            "content": {streams: {"schema": {"type": "string"} if method.server_streaming else reply}},
        },
        "default": {"$ref": "#/components/responses/Refused"},
    }
    if scheme := _SECURITY.get(contract.access(method)):
        operation["security"] = [{scheme: []}]
    return operation


def _parameters(
    contract: Contract, schemas: Schemas, message: Descriptor, rule: Any, verb: str, in_path: list[str]
) -> Iterator[dict[str, Any]]:
    for name in in_path:
        field = message.fields_by_name[name]
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": contract.comment(field),
            "schema": schemas.value(field) | ({"minLength": 1} if "format" not in schemas.value(field) else {}),
        }
    if rule.body:
        return
    for field in message.fields:
        secret = field.GetOptions().debug_redact and verb != "get"
        if field.name not in in_path and field.message_type is None and not secret:
            yield {
                "name": field.json_name,
                "in": "query",
                "required": field.name in schemas.required(message),
                "description": contract.comment(field),
                "schema": schemas.value(field),
            }


_ABOUT = """The contract of Identity over HTTP: every call of `identity.v1`, transcoded from its annotations.

Requests are strict: a field that is unknown, of another type or there twice is refused by its name. Absent and `null`
are the same. An error has the shape of `google.rpc.Status`; branch on `details[0].reason`, never on the text."""

_STATUS: dict[str, Any] = {
    "type": "object",
    "description": "An error. The first of `details` is an ErrorInfo, whose `reason` clients branch on.",
    "required": ["code", "message", "details"],
    "properties": {
        "code": {"type": "integer", "description": "The number of the gRPC status."},
        "message": {"type": "string", "description": "What a person can do about it."},
        "details": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["@type"],
                "properties": {
                    "@type": {"type": "string"},
                    "reason": {"type": "string", "description": "ErrorInfo: a value of ErrorReason."},
                    "domain": {"type": "string"},
                    "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
                    "fieldViolations": {
                        "type": "array",
                        "description": "BadRequest: the fields at fault.",
                        "items": {
                            "type": "object",
                            "required": ["field", "description", "reason"],
                            "properties": {
                                "field": {"type": "string"},
                                "description": {"type": "string"},
                                "reason": {"type": "string"},
                            },
                        },
                    },
                    "retryDelay": {"type": "string", "description": "RetryInfo: seconds, as in `1.500s`."},
                },
            },
        },
    },
}
