"""Durable files, digests and canonical JSON: those of the hand-over, which stands on its own, for every room."""

from gristmill.handoff.durable import CHUNK_BYTES as CHUNK_BYTES
from gristmill.handoff.durable import canonical_json as canonical_json
from gristmill.handoff.durable import content_key as content_key
from gristmill.handoff.durable import file_sha256 as file_sha256
from gristmill.handoff.durable import fsync_path as fsync_path
from gristmill.handoff.durable import json_text as json_text
from gristmill.handoff.durable import read_json as read_json
from gristmill.handoff.durable import write_json as write_json
from gristmill.handoff.durable import write_text as write_text
