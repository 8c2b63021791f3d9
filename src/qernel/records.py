"""JSON records: written with a checksum of their contents, and read back in one sentence if something is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qernel.errors import RunError
from qernel.files import read_text
from qernel.integrity import CHECKSUM, check_digest, record_digest
from qernel.storage import to_json


def to_record(content: Mapping[str, Any], *, indent: int | None = None) -> str:
    """JSON text of an object with its checksum under the key `CHECKSUM`, last."""
    digest = record_digest(json.loads(to_json(content)))
    return to_json({**content, CHECKSUM: digest}, indent=indent)


def read_json(path: Path) -> Any:
    """What a record of Qernel holds; the checksum, if it has one, is compared with it.

    Raises:
        RunError: if the file cannot be read, is no JSON, or was damaged.
    """
    try:
        return parse_json(path)
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}") from error
    except RecursionError as error:
        raise RunError(f"{path} is damaged, or no record of qernel: it is nested too deeply") from error
    except ValueError as error:
        raise RunError(f"{path} is damaged, or no record of qernel: {error}") from error


def stored_request(path: Path) -> Any:
    """What the measurement of a record was asked for; None where there is no such record, or it does not say it."""
    try:
        return read_json(path)["provenance"]["request"]
    except (RunError, LookupError, TypeError):
        return None


def parse_json(path: Path) -> Any:
    """The same of a JSON file that need not be one of ours.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no JSON; RecursionError if it is nested too deeply.
        DamagedFile: if it does not match its checksum.
    """
    content = json.loads(read_text(path))
    if isinstance(content, dict) and CHECKSUM in content:
        check_digest(path, content[CHECKSUM], record_digest(content))
    return content
