"""YAML is read as it is meant."""

import pytest
import yaml

from scmmlab.config.yaml_text import dump_yaml, parse_yaml
from scmmlab.errors import SpecError


def test_numbers_and_booleans_are_those_of_yaml_1_2():
    value = parse_yaml("[5e-4, 1e3, -2, .5, 1., true, null, ~, no, on, 010, 1:30, 0-17, 2024-01-01]", "x.yaml")
    assert value == [5e-4, 1e3, -2, 0.5, 1.0, True, None, None, "no", "on", "010", "1:30", "0-17", "2024-01-01"]


def test_a_merge_key_may_be_overridden():
    assert parse_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}", "x.yaml")["b"] == {"x": 3, "y": 2}


def test_a_change_of_what_an_alias_stands_for_leaves_its_anchor():
    value = parse_yaml("a: &a {x: 1}\nb: *a", "x.yaml")
    value["b"]["x"] = 2
    assert value["a"] == {"x": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2", "Cannot read x.yaml, line 4, column 3: duplicate key 'c'."),
        ("1: a", "a key must be text, got 1 (quote it to make it text)"),
        ("a: [1, 2", "x.yaml, line 1"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("a: !!int x", "x.yaml, line 1, column 4: int expected, got 'x'"),
        ("a: !!float x", "float expected, got 'x'"),
        ("a: !!bool x", "bool expected, got 'x'"),
        (f"a:\n  - {'9' * 5000}", "x.yaml, line 2, column 5: int expected, got '99999"),
        (r'a: "\ud800"', "str expected"),
        (r'"\ud800": 1', "str expected"),
        ("a: !!binary aGk=", "could not determine a constructor"),
        ("a: !!set {b, c}", "could not determine a constructor"),
        ("a: !!timestamp 2024-01-01", "could not determine a constructor"),
        ("a: !!omap [b: 1]", "could not determine a constructor"),
        ("a: &x {b: 1}\nc: {<<: *x, b: 2, b: 3}", "x.yaml, line 2, column 19: duplicate key 'b'"),
        ("a: \x00", "special characters are not allowed"),
        ("a: &a [*a]", "an alias contains itself"),
        ("[" * 5000, "nested too deeply"),
        (
            "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
            + "".join(
                f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
            ),
            "aliases expand to more than 100,000 values",
        ),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(text, expected):
    with pytest.raises(SpecError) as caught:
        parse_yaml(text, "x.yaml")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_written_is_read_as_the_same_by_us_and_by_others():
    texts = [
        "1e3",
        "5E-4",
        "no",
        "010",
        "1:30",
        "0o17",
        "2024-01-01",
        "1_000",
        "",
        "~",
        "null",
        "=",
        "<<",
        ".5",
        "a: b",
    ]
    value = {"texts": texts, "numbers": [1e3, 5e-4, 1e-300, 0, -2, 0.1], "others": [True, None, {}, []], "1e3": "é\n"}
    assert parse_yaml(dump_yaml(value), "x.yaml") == value
    assert yaml.safe_load(dump_yaml(value)) == value
