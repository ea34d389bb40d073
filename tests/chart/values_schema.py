"""`config` of chart/values.schema.json, from the pydantic model: the chart accepts what the Job accepts.

tests/generated.py writes it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from istio_pca.config import Config

FILE = Path(__file__).parents[2] / "chart" / "values.schema.json"


def generated() -> str:
    """The whole file: hand-written but for properties.config."""
    document = json.loads(FILE.read_text())
    document["properties"]["config"] = _config()
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _config() -> dict[str, Any]:
    """The model's schema, with its parts in their places; draft 7 and JSON Schema 2020 agree on all of it."""
    schema = Config.model_json_schema(by_alias=True)
    parts = schema.pop("$defs")

    def placed(node: Any) -> Any:
        if isinstance(node, list):
            return [placed(one) for one in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            rest = {key: value for key, value in node.items() if key != "$ref"}
            return placed({**parts[node["$ref"].rpartition("/")[2]], **rest})
        return {key: placed(value) for key, value in node.items() if key != "title" or isinstance(value, dict)}

    config: dict[str, Any] = placed(schema)
    arn = config["properties"]["certificateAuthorityArn"]
    # empty is left to the template, whose message says what to set
    arn["pattern"] = arn["pattern"].replace("^", "^(").replace("$", ")?$")
    del config["required"]
    return config
