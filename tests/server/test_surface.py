"""Whatever is sent to whichever route: never an error of the server's own.

GENARIUM_FUZZ_EXAMPLES=200 tries longer; the suite keeps it short.
"""

from __future__ import annotations

import os
from collections import Counter

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from tests.server.conftest import Serve

EXAMPLES = int(os.environ.get("GENARIUM_FUZZ_EXAMPLES", "3"))


def test_no_request_made_from_its_own_description_brings_a_500(serve: Serve) -> None:
    server = serve(answer_within=5.0, waiting=1000)
    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    answered: Counter[int] = Counter()

    for operation in (result.ok() for result in schema.get_all_operations()):
        fitting = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        others = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

        @given(case=fitting | others)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            database=None,
            derandomize=True,
        )
        def attack(case: schemathesis.Case) -> None:
            response = case.call(base_url=server.address, timeout=600)
            answered[response.status_code] += 1
            assert response.status_code != 500, (
                f"{case.method} {case.formatted_path} {case.body!r}: {response.text[:500]}"
            )

        attack()
    assert answered[200] > 3
    assert answered[400] > 10
    assert not [status for status in answered if status >= 500], answered
