"""OpenAPI 3.1: the generated document of the contract, and one made from the operations of a dialect."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from identity.rest.dialect import Dialect, Operation

_TEMPLATE = "#/components/schemas/{model}"


def canonical() -> dict[str, Any]:
    """The document of the contract, as it was generated from the protos."""
    document: dict[str, Any] = json.loads(files("identity_pb.v1").joinpath("openapi.json").read_text("utf-8"))
    return document


def of_dialect(dialect: Dialect) -> dict[str, Any]:
    """The document of a product's API."""
    schemas = _Schemas(dialect)
    paths: dict[str, Any] = {}
    for operation in dialect.operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": dialect.title, "version": "1", "description": dialect.about},
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                **{
                    name: {"type": "apiKey", "in": "cookie", "name": name}
                    for name in sorted({name for operation in dialect.operations for name in _cookies(operation)})
                },
            },
        },
    }


class _Schemas:
    """The models of all operations: requests as they are read, answers as they are written."""

    def __init__(self, dialect: Dialect) -> None:
        read = {operation.body for operation in dialect.operations if operation.body}
        written = {
            answer
            for operation in dialect.operations
            for answer in (*operation.answers.values(), dialect.failure)
            if isinstance(answer, type) and issubclass(answer, BaseModel)
        }
        self.failure = dialect.failure
        models: list[Any] = [
            *((model, "validation") for model in sorted(read, key=_name)),
            *((model, "serialization") for model in sorted(written, key=_name)),
        ]
        refs, definitions = models_json_schema(models, ref_template=_TEMPLATE)
        self._refs: dict[Any, dict[str, Any]] = dict(refs)
        self.components: dict[str, Any] = definitions.get("$defs", {})

    def read(self, model: type[BaseModel]) -> dict[str, Any]:
        return self._refs[model, "validation"]

    def written(self, model: type[BaseModel]) -> dict[str, Any]:
        return self._refs[model, "serialization"]


def _operation(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {"summary": operation.summary, "operationId": f"{operation.method} {operation.path}"}
    if operation.parameters:
        made["parameters"] = [
            {
                "name": parameter.name,
                "in": parameter.place,
                "required": parameter.required,
                "description": parameter.meaning,
                "schema": {"type": "string", **({"enum": list(parameter.values)} if parameter.values else {})},
            }
            for parameter in operation.parameters
            if parameter.place != "cookie"
        ]
    if operation.body is not None:
        schema = schemas.read(operation.body)
        forms = {"application/x-www-form-urlencoded": {"schema": schema}} if operation.takes_forms else {}
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}, **forms}}
    made["responses"] = {
        **{str(status): _answer(status, answer, schemas) for status, answer in operation.answers.items()},
        "default": _answer(500, "Every other refusal.", schemas),
    }
    if operation.credential:
        made["security"] = [{name: []} for name in _cookies(operation)] or [{"bearer": []}]
    return made


def _cookies(operation: Operation) -> list[str]:
    return [parameter.name for parameter in operation.parameters if parameter.place == "cookie"]


def _answer(status: int, answer: type[BaseModel] | str, schemas: _Schemas) -> dict[str, Any]:
    if isinstance(answer, str) and status < 400:
        return {"description": answer}
    model = schemas.failure if isinstance(answer, str) else answer
    described = answer if isinstance(answer, str) else (answer.__doc__ or answer.__name__).partition("\n")[0]
    return {"description": described, "content": {"application/json": {"schema": schemas.written(model)}}}


def _name(model: type[BaseModel]) -> str:
    return f"{model.__module__}.{model.__qualname__}"
