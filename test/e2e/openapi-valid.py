"""Checks a document against the schema of OpenAPI 3.1. Argument: the document's file."""

import json
import sys

from openapi_spec_validator import OpenAPIV31SpecValidator

with open(sys.argv[1], encoding="utf-8") as file:
    errors = list(OpenAPIV31SpecValidator(json.load(file)).iter_errors())
print(json.dumps([f"{list(error.absolute_path)} {error.message[:200]}" for error in errors]))
