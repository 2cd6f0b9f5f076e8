"""The grades of a check of printed numbers, as they stand in audit.csv."""

HOLDS = "holds"
IMPOSSIBLE = "cannot be true as printed"
DEFINITION = "true only under another reading"
QUESTION = "worth asking"
GRADES = (IMPOSSIBLE, DEFINITION, QUESTION)  # the three grades of a finding, gravest first
