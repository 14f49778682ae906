"""The served OpenAPI document is true: what it allows and forbids is what is answered."""

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from bots.bot import Bot

# Not `positive_data_acceptance`: a model's name, and what fits into its context, no schema can tell.
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
EXAMPLES = 25
OPERATIONS = (
    "GET /v1/models",
    "GET /v1/models/{model}",
    "POST /v1/chat/completions",
    "POST /v1/completions",
    "POST /v1/embeddings",
)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_operation_keeps_to_the_document(bot: Bot, operation: str) -> None:
    await asyncio.to_thread(_examine, f"{bot.url}/openapi.json", operation)


def _examine(url: str, label: str) -> None:
    schema = schemathesis.openapi.from_url(url)
    operation = schema.find_operation_by_label(label)
    assert operation is not None
    modes = [GenerationMode.POSITIVE]
    if label.startswith("POST"):  # nothing is wrong in a path that is only a string
        modes.append(GenerationMode.NEGATIVE)
    for mode in modes:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def holds(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(checks=CHECKS)

        holds()
