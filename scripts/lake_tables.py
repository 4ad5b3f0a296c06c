#!/usr/bin/env python3
"""Writes the tables of Glue in template.yaml, and the columns in docs/query.md, from query/lake.json.

    scripts/lake_tables.py            write both
    scripts/lake_tables.py --check    fail if one of them is out of date

`myaku query` makes its views from the same description, so both engines see the same names and types.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAKE = json.loads((ROOT / "query/lake.json").read_text(encoding="utf-8"))
# The lines between which the script writes.
BEGIN, END = "BEGIN of what scripts/lake_tables.py writes", "END of what scripts/lake_tables.py writes"

# Athena reads an object or an array in a column of type string as its JSON text.
GLUE_TYPES = {"json": "string"}
TABLE = """\
  {title}Table:
    Type: AWS::Glue::Table
    Condition: HasAthena
    Properties:
      CatalogId: !Ref AWS::AccountId
      DatabaseName: !Ref LakeDatabase
      TableInput:
        Name: {name}
        Description: {about}
        TableType: EXTERNAL_TABLE
        Parameters:
          EXTERNAL: "TRUE"
          projection.enabled: "true"
{projection}
          storage.location.template: !Sub "s3://${{{bucket}}}/{location}"
        PartitionKeys:
{partitions}
        StorageDescriptor:
          Location: !Sub "s3://${{{bucket}}}/{prefix}"
          InputFormat: org.apache.hadoop.mapred.TextInputFormat
          OutputFormat: org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat
          SerdeInfo: {{ SerializationLibrary: org.openx.data.jsonserde.JsonSerDe }}
          Columns:{columns}
"""


def partitions_of(table):
    return table["partitions"] + LAKE["hours"]


def columns_of(table):
    return LAKE["lines"] if table["columns"] == "lines" else table["columns"]


def column(name, kind, about):
    return f'- {{ Name: {name.lower()}, Type: {GLUE_TYPES.get(kind, kind)}, Comment: "{about}" }}'


def indented(lines, spaces):
    return "\n".join(" " * spaces + line for line in lines)


def glue():
    """The tables as resources. Those that have lines of the archiver share the list of columns."""
    text, shared = "", False
    for name, table in LAKE["tables"].items():
        listed = "\n" + indented((column(*entry) for entry in columns_of(table)), 12)
        if table["columns"] == "lines":
            listed = " *LinesOfTheLake" if shared else " &LinesOfTheLake" + listed
            shared = True
        rules = [
            f'projection.{partition}.{setting}: "{value}"'
            for partition, _, _, settings in partitions_of(table)
            for setting, value in settings.items()
        ]
        text += TABLE.format(
            title="".join(word.capitalize() for word in name.split("_")) + "Lake",
            name=name,
            about=table["about"],
            projection=indented(rules, 10),
            bucket=table["bucket"],
            location=table["location"].replace("{", "${!"),
            prefix=table["location"].partition("/")[0] + "/",
            partitions=indented((column(*entry[:3]) for entry in partitions_of(table)), 10),
            columns=listed,
        ) + "\n"
    return text.rstrip() + "\n"


def page():
    """The columns of each view, for people."""
    text = ""
    for name, table in LAKE["tables"].items():
        text += f"**`{name}`**: {table['about'][0].lower()}{table['about'][1:]}.\n\n| column | type | what it is |\n|---|---|---|\n"
        stored = [entry[:3] for entry in columns_of(table) + partitions_of(table)]
        for column_name, kind, about in stored:
            text += f"| `{column_name}` | {kind} | {about} |\n"
        for column_name, _, about in [["record", "", "The record as JSON, however it is stored; null if it is not JSON"], *table["decoded"]]:
            text += f"| `{column_name}` | `myaku query` | {about} |\n"
        text += "\n"
    return text.rstrip() + "\n"


def written(path, text):
    """A file with `text` between its two marks."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines(keepends=True)
    marks = [next((index for index, line in enumerate(lines) if mark in line), None) for mark in (BEGIN, END)]
    if None in marks:
        sys.exit(f"{path} lacks the line {BEGIN!r} or {END!r}")
    begin, end = marks
    return "".join(lines[: begin + 1]) + text + "".join(lines[end:])


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    for path, text in (("template.yaml", glue()), ("docs/query.md", "\n" + page() + "\n")):
        made = written(path, text)
        if sys.argv[1:] != ["--check"]:
            (ROOT / path).write_text(made, encoding="utf-8")
        elif (ROOT / path).read_text(encoding="utf-8") != made:
            sys.exit(f"{path} is not what query/lake.json says: run scripts/lake_tables.py and commit the file")


if __name__ == "__main__":
    main()
