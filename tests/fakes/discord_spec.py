"""Discord's own OpenAPI description, if the folder that holds it is named: what a request may look like."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

Json = dict[str, Any]


# discord.py sends it with each edit, and Discord overlooks it.
_OVERLOOKED = {"tts"}

# What Discord has and its description leaves out.
_BESIDES = {("POST", "/attachments/refresh-urls")}


class DiscordSpec:
    def __init__(self, document: Json) -> None:
        self._document = document
        self._validators: dict[tuple[str, str], jsonschema.Draft202012Validator] = {}

    def wrong(self, method: str, path: str, query: dict[str, str], body: Any) -> list[str]:
        """What is wrong with a request to `path`, a path with its parameters' {names}."""
        if (method, path) in _BESIDES:
            return []
        where = self._document["paths"].get(path)
        if where is None or method.lower() not in where:
            return [f"{method} {path}: there is no such call"]
        call = where[method.lower()]
        known = {one["name"] for one in [*where.get("parameters", ()), *call.get("parameters", ())]}
        found = [f"{method} {path}: there is no {name!r} in the query" for name in query if name not in known]
        media = call.get("requestBody", {}).get("content", {}).get("application/json")
        if body is None or media is None:
            if body is not None:
                found.append(f"{method} {path}: takes no body")
            return found
        found += [
            f"{method} {path}: {error.json_path}: {error.message}"
            for error in self._validator(method, path, media["schema"]).iter_errors(body)
        ]
        if isinstance(body, dict):
            fields = self._fields(media["schema"]) | _OVERLOOKED
            found += [f"{method} {path}: there is no field {name!r}" for name in body if name not in fields]
        return found

    def _validator(self, method: str, path: str, schema: Json) -> jsonschema.Draft202012Validator:
        if (method, path) not in self._validators:
            rooted = {**schema, "components": self._document["components"]}
            self._validators[method, path] = jsonschema.Draft202012Validator(rooted)
        return self._validators[method, path]

    def _fields(self, schema: Json) -> set[str]:
        """The names that a body may have at its top."""
        if (ref := schema.get("$ref")) is not None:
            return self._fields(self._document["components"]["schemas"][ref.rpartition("/")[2]])
        fields = set(schema.get("properties", ()))
        for key in ("oneOf", "anyOf", "allOf"):
            for option in schema.get(key, ()):
                fields |= self._fields(option)
        return fields


@cache
def given_spec() -> DiscordSpec | None:
    folder = os.environ.get("TRIALOGUE_TEST_SPECS")
    if not folder:
        return None
    return DiscordSpec(json.loads((Path(folder) / "discord_openapi.json").read_text()))
