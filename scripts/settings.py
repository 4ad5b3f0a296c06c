#!/usr/bin/env python3
"""Writes docs/settings.md: the parameters of template.yaml, in the groups that the template names.

    scripts/settings.py            write the page
    scripts/settings.py --check    fail if the page is not what the template gives

Python's standard library has no parser for YAML. The two sections that are read here have a simple shape, so this
reads that shape and no more. A line that it does not understand is an error with its number, never a guess.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"
PAGE = ROOT / "docs/settings.md"

# What a parameter may say, in CloudFormation's words.
KEYS = {
    "Type",
    "Default",
    "AllowedValues",
    "MinValue",
    "MaxValue",
    "MinLength",
    "MaxLength",
    "AllowedPattern",
    "ConstraintDescription",
    "Description",
}
REQUIRED = {"Type", "Default", "Description"}

HEAD = """\
<!-- scripts/settings.py writes this page from template.yaml. Change the template and run the script again. -->

# Settings

The stack's settings are the parameters of [`template.yaml`](../template.yaml). Give those that you want to change when you
deploy, and leave the rest:

```sh
make deploy PARAMETERS="IngestShards=4 AlarmEmail=you@example.com"
make local ARGS="--parameter PendingCommands=true"      # the same parameters on one machine
```

A later deployment keeps what an earlier one set. CloudFormation refuses a value outside the bounds below before it
changes anything. What a function makes of its settings is in the table *Environment* or *Settings* of its README; a
function with a wrong setting does not start, and names the variable.
"""


class Problem(Exception):
    """A line of the template that is not understood."""


def problem(number, what):
    return Problem(f"{TEMPLATE.name}:{number}: {what}")


def section(lines, name):
    """The lines of a top-level section, each with its number; without comments and blank lines."""
    begin = next((i for i, line in enumerate(lines) if line.rstrip() == f"{name}:"), None)
    if begin is None:
        raise Problem(f"{TEMPLATE.name} has no section {name}")
    found = []
    for number, line in enumerate(lines[begin + 1 :], begin + 2):
        if line and not line.startswith((" ", "#")):
            break
        if line.strip() and not line.lstrip().startswith("#"):
            found.append((number, line.rstrip()))
    return found


def scalar(text, number):
    """A text, with or without quotes."""
    for quote in "\"'":
        if text.startswith(quote):
            inner = text[1:-1]
            if len(text) < 2 or not text.endswith(quote) or quote in inner or (quote == '"' and "\\" in inner):
                raise problem(number, f"this quoted text is not understood: {text}")
            return inner
    if not text or text[0] in "[]{}&*!|>%@`#?," or ": " in text or " #" in text:
        raise problem(number, f"this text is not understood: {text!r}")
    return text


def flow(text, number):
    """A list in brackets, of texts."""
    if not (text.startswith("[") and text.endswith("]")):
        raise problem(number, f"a list in brackets was expected: {text}")
    inner = text[1:-1].strip().rstrip(",")
    return [scalar(item.strip(), number) for item in inner.split(",")] if inner else []


def parameters(lines):
    """Each parameter's name, and what it says."""
    found, folded = {}, None
    for number, line in section(lines, "Parameters"):
        indent = len(line) - len(line.lstrip())
        text = line.strip()
        if indent == 2 and (match := re.fullmatch(r"([A-Za-z][A-Za-z0-9]*):", text)):
            name, folded = match[1], None
            if name in found:
                raise problem(number, f"{name} is there twice")
            found[name] = {}
        elif indent == 4 and found and (match := re.fullmatch(r"([A-Za-z]+): +(.+)", text)):
            key, value = match.groups()
            if key not in KEYS or key in found[name]:
                raise problem(number, f"{name} has {key}, which is not known or is there twice")
            folded = key if value == ">-" else None
            if folded:
                found[name][key] = ""
            else:
                found[name][key] = flow(value, number) if key == "AllowedValues" else scalar(value, number)
        elif indent == 6 and folded:
            found[name][folded] = f"{found[name][folded]} {text}".strip()
        else:
            raise problem(number, f"this line is not understood: {text}")
    for name, said in found.items():
        if missing := REQUIRED - said.keys():
            raise Problem(f"{TEMPLATE.name}: parameter {name} lacks {', '.join(sorted(missing))}")
    return found


def groups(lines):
    """The groups of the console's form: each label, and the names of its parameters."""
    metadata = section(lines, "Metadata")
    begin = next((i for i, (_, line) in enumerate(metadata) if line.strip() == "ParameterGroups:"), None)
    if begin is None:
        raise Problem(f"{TEMPLATE.name} has no ParameterGroups in its Metadata")
    outer = len(metadata[begin][1]) - len(metadata[begin][1].lstrip())
    found, pending = [], None
    for number, line in metadata[begin + 1 :]:
        text = line.strip()
        if len(line) - len(line.lstrip()) <= outer:
            break
        if pending is not None:
            pending = f"{pending} {text}".strip()
        elif match := re.fullmatch(r"- Label: \{ default: (.+) \}", text):
            found.append((scalar(match[1], number), []))
            continue
        elif found and text.startswith("Parameters:"):
            pending = text.removeprefix("Parameters:").strip()
        else:
            raise problem(number, f"this line of a group is not understood: {text}")
        # A list may stand on several lines.
        if pending.endswith("]"):
            found[-1][1].extend(flow(pending, number))
            pending = None
    if pending is not None:
        raise Problem(f"{TEMPLATE.name}: the list of parameters does not end: {pending}")
    return found


def check_groups(found, named):
    grouped = [name for _, names in found for name in names]
    for name in named:
        if grouped.count(name) != 1:
            raise Problem(f"{TEMPLATE.name}: parameter {name} is in {grouped.count(name)} groups; put it into one")
    for name in grouped:
        if name not in named:
            raise Problem(f"{TEMPLATE.name}: a group has {name}, which is not a parameter")


def code(text):
    return "`" + text.replace("|", "\\|") + "`"


def number(text):
    """With commas between the thousands, for people."""
    return f"{int(text):,}"


def allowed(said):
    """Which values are taken, in a few words."""
    if "AllowedValues" in said:
        return ", ".join(code(value) for value in said["AllowedValues"])
    if "MinValue" in said and "MaxValue" in said:
        return f"{number(said['MinValue'])} to {number(said['MaxValue'])}"
    if "MinValue" in said or "MaxValue" in said:
        return f"from {number(said['MinValue'])}" if "MinValue" in said else f"up to {number(said['MaxValue'])}"
    bounds = []
    if "ConstraintDescription" in said:
        bounds.append(said["ConstraintDescription"].rstrip("."))
        if re.match(r"\^\$\|", said.get("AllowedPattern", "")):
            bounds.append("or empty")
    elif "AllowedPattern" in said:
        pattern = said["AllowedPattern"]
        bounds.append("empty, or " if pattern.startswith("^$|") else "")
        bounds[-1] += f"matches {code(pattern.removeprefix('^$|'))}"
    if "MinLength" in said:
        bounds.append(f"at least {said['MinLength']} characters")
    if "MaxLength" in said:
        bounds.append(f"at most {said['MaxLength']} characters")
    return "; ".join(bounds) or "any text"


def page(lines):
    named = parameters(lines)
    found = groups(lines)
    check_groups(found, named)
    text = HEAD
    for label, names in found:
        text += f"\n## {label}\n\n| parameter | default | allowed | meaning |\n|---|---|---|---|\n"
        for name in names:
            said = named[name]
            default = code(said["Default"]) if said["Default"] else "empty"
            meaning = re.sub(r"<([a-z]+)>", r"`<\1>`", said["Description"]).replace("|", "\\|")
            text += f"| {code(name)} | {default} | {allowed(said)} | {meaning} |\n"
    return text


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    try:
        made = page(TEMPLATE.read_text(encoding="utf-8").splitlines())
    except Problem as found:
        sys.exit(f"docs/settings.md cannot be made: {found}")
    if sys.argv[1:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != made:
            sys.exit("docs/settings.md is not what template.yaml says: run scripts/settings.py and commit the page")
    else:
        PAGE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
