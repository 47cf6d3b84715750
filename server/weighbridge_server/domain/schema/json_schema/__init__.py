"""JSON Schema (draft 2020-12) as it is held against versions: read, compiled, asked. Pure; nothing is ever fetched."""

from weighbridge_server.domain.schema.json_schema.compiled import CompiledSchema, compile_schema, compiled, shipped_text
from weighbridge_server.domain.schema.json_schema.document import begun_document, version_document

__all__ = ["CompiledSchema", "begun_document", "compile_schema", "compiled", "shipped_text", "version_document"]
