#!/usr/bin/env python3
"""Expands the loops of template.yaml: writes the same template without `Fn::ForEach`, and without YAML anchors.

`make build` expands before `sam build`, so that CloudFormation gets plain resources and does not have to apply
AWS::LanguageExtensions. Only loops are expanded; parameters and conditions stay for CloudFormation to resolve.

An identifier is replaced where CloudFormation replaces it: in the keys of the loop's fragment (`${Name}`, or `&{Name}`
without the characters that are not alphanumeric), in the text of `Fn::Sub`, and in a `Ref` to the identifier. See
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-foreach.html
"""

import argparse
import re
from pathlib import Path

from samcli.yamlhelper import yaml_dump, yaml_parse

TRANSFORM = "AWS::LanguageExtensions"
LOOP = "Fn::ForEach::"
# The only sections in which CloudFormation allows loops.
SECTIONS = ("Conditions", "Resources", "Outputs")
# CloudFormation's limit on loops inside loops.
DEPTH_MAX = 5


class ExpansionError(Exception):
    """Says what is wrong in the template, and where."""

    def __init__(self, place, problem):
        super().__init__(f"{place}: {problem}")


class Loops:
    """Expands the loops of one template."""

    def __init__(self, template):
        self.mappings = template.get("Mappings", {})
        # The mappings that loops looked something up in.
        self.read = set()

    def members(self, entries, place, bound):
        """A map in which each loop is replaced with the entries that it makes."""
        made = {}

        def add(key, value, place):
            if key in made:
                raise ExpansionError(place, f"{key} is made twice; each key of a loop must contain its identifier")
            made[key] = value

        for key, value in entries.items():
            if not key.startswith(LOOP):
                add(key, self.value(value, f"{place}.{key}", bound), place)
                continue
            where = f"{place}.{key}"
            name, items, fragment = self.parts(value, where, bound)
            for item in items:
                inner = bound | {name: item}
                loops = {k: v for k, v in fragment.items() if k.startswith(LOOP)}
                plain = {fill_key(k, inner, where): v for k, v in fragment.items() if not k.startswith(LOOP)}
                for inner_key, inner_value in self.members(plain | loops, where, inner).items():
                    add(inner_key, inner_value, where)
        return made

    @staticmethod
    def parts(value, place, bound):
        """A loop's identifier, items and fragment, checked."""
        if not (isinstance(value, list) and len(value) == 3 and isinstance(value[2], dict)):
            raise ExpansionError(place, "a loop is a list of an identifier, a list of items and a map")
        name, items, fragment = value
        if not (isinstance(name, str) and name.isalnum()) or name in bound:
            raise ExpansionError(place, f"{name!r} is not a new alphanumeric identifier")
        if not (isinstance(items, list) and all(isinstance(item, str) for item in items)):
            raise ExpansionError(place, "list the items as texts: loops are expanded before parameters have values")
        if len(bound) >= DEPTH_MAX:
            raise ExpansionError(place, f"more than {DEPTH_MAX} loops stand inside each other")
        return name, items, fragment

    def value(self, node, place, bound):
        """A value with its loops expanded and its identifiers replaced."""
        if isinstance(node, list):
            return [self.value(item, f"{place}[{index}]", bound) for index, item in enumerate(node)]
        if isinstance(node, str):
            refuse_placeholder(node, place, bound)
            return node
        if not isinstance(node, dict):
            return node
        if bound and len(node) == 1:
            (function, argument), = node.items()
            match function:
                case "Ref":
                    return self.reference(argument, place, bound)
                case "Fn::Sub":
                    return self.substitution(argument, place, bound)
                case "Fn::FindInMap":
                    return self.lookup(self.value(argument, place, bound), place)
        for key in node if bound else ():
            refuse_placeholder(key, place, bound)
        return self.members(node, place, bound)

    def reference(self, argument, place, bound):
        """A `Ref`: to an identifier, or to a resource whose name is computed from one."""
        if isinstance(argument, str):
            return bound.get(argument, {"Ref": argument})
        name = self.value(argument, place, bound)
        if not isinstance(name, str):
            raise ExpansionError(place, f"the name in this Ref is not known before deployment: {name}")
        return {"Ref": name}

    def substitution(self, argument, place, bound):
        """An `Fn::Sub`: a plain text where everything in it is known."""
        text, own = (argument, {}) if isinstance(argument, str) else argument
        own = {name: self.value(value, place, bound) for name, value in own.items()}
        known = bound | {name: value for name, value in own.items() if isinstance(value, str)}
        text = re.sub(r"\$\{(\w+)\}", lambda found: known.get(found[1], found[0]), text)
        own = {name: value for name, value in own.items() if name not in known}
        if own:
            return {"Fn::Sub": [text, own]}
        return {"Fn::Sub": text} if "${" in text else text

    def lookup(self, arguments, place):
        """An `Fn::FindInMap`: the value, where all its keys are known."""
        if not all(isinstance(argument, str) for argument in arguments):
            return {"Fn::FindInMap": arguments}
        self.read.add(arguments[0])
        found = self.mappings
        for argument in arguments:
            if argument not in found:
                raise ExpansionError(place, f"the mapping {' / '.join(arguments)} does not exist")
            found = found[argument]
        return found


def fill_key(key, bound, place):
    """A key of a loop's fragment for one item."""
    for name, item in bound.items():
        key = key.replace(f"${{{name}}}", item).replace(f"&{{{name}}}", re.sub(r"[^A-Za-z0-9]", "", item))
    if re.search(r"[$&]\{", key):
        raise ExpansionError(place, f"the key {key} names an identifier that no loop around it has")
    return key


def refuse_placeholder(text, place, bound):
    """Refuses an identifier where CloudFormation leaves it as it is."""
    for name in bound:
        if f"${{{name}}}" in text or f"&{{{name}}}" in text:
            raise ExpansionError(place, f"CloudFormation does not replace {name} in the plain text {text!r}; use Fn::Sub")


def lookups(node):
    """The mappings that a value looks something up in."""
    if isinstance(node, list):
        return set().union(*map(lookups, node))
    if not isinstance(node, dict):
        return set()
    own = {str(arguments[0]) for function, arguments in node.items() if function == "Fn::FindInMap"}
    return own.union(*map(lookups, node.values()))


def expand(template):
    """The template without loops, and without the mappings that only loops need."""
    loops = Loops(template)
    expanded = {}
    for section, content in template.items():
        if section in SECTIONS:
            content = loops.members(content, section, {})
        elif section == "Transform" and isinstance(content, list):
            rest = [transform for transform in content if transform != TRANSFORM]
            content = rest[0] if len(rest) == 1 else rest
        expanded[section] = content
    unused = loops.read - lookups({section: expanded.get(section) for section in SECTIONS})
    if "Mappings" in expanded:
        expanded["Mappings"] = {name: table for name, table in expanded["Mappings"].items() if name not in unused}
    return expanded


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("template", type=Path)
    arguments.add_argument("expanded", type=Path, help="the file to write")
    options = arguments.parse_args()
    try:
        expanded = expand(yaml_parse(options.template.read_text()))
    except ExpansionError as error:
        raise SystemExit(f"{options.template}, {error}") from None
    options.expanded.parent.mkdir(parents=True, exist_ok=True)
    options.expanded.write_text(yaml_dump(expanded))


if __name__ == "__main__":
    main()
