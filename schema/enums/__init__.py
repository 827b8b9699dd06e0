"""The closed sets of the API. Enums grow: keep a default branch."""

import schema.enums.access
import schema.enums.conversation
import schema.enums.generation
import schema.enums.quota  # noqa: F401  # each describes what it names, when it is imported
