"""Tables beside recordings: what a number is, what a column is, and what neither of them is."""

import math

import pytest

from scmmlab.corpora.lab.tables import read_rows
from scmmlab.errors import CorpusError


def rows_of(tmp_path, content, columns=("a", "b"), name="t.csv", **options):
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(data)
    return read_rows(tmp_path, name, columns, **options)


def numbers(rows, column="b"):
    return [row.number(column) for row in rows]


@pytest.mark.parametrize(
    "content",
    ["a;b\n1;3,5\n2;7\n3;6,25\n", 'a,b\n1,"3,5"\n2,7\n3,"6,25"\n', "a\tb\n1\t3,5\n2\t7\n3\t6,25\n"],
)
def test_decimal_commas_are_read_where_all_numbers_of_a_column_have_them(tmp_path, content):
    assert numbers(rows_of(tmp_path, content)) == [3.5, 7.0, 6.25]


def test_values_that_are_missing_are_no_numbers_and_no_mistake(tmp_path):
    found = numbers(rows_of(tmp_path, "a;b\n1;3,5\n2;\n3;n/a\n4;NaN\n5;N/A\n"))
    assert found[0] == 3.5
    assert all(math.isnan(number) for number in found[1:])


@pytest.mark.parametrize("value", ["3.5", "2,5 s", "1.000,5", "zwei", "1 000", "4,5,6", "inf", "1_0", "-"])
def test_a_value_that_is_no_number_is_named_with_line_and_column(tmp_path, value):
    rows = rows_of(tmp_path, f"a;b\n1;3,5\n2;{value}\n")
    with pytest.raises(CorpusError, match=r"b is not a number in line \d of .*t.csv': expected a number, found '"):
        numbers(rows)


def test_the_value_that_spoils_a_column_of_decimal_commas_is_named(tmp_path):
    with pytest.raises(CorpusError, match=r"b is not a number in line 2 .*found '3,5'") as error:
        numbers(rows_of(tmp_path, "a;b\n1;3,5\n2;none given\n"))
    assert error.value.hint.endswith("but line 3 has 'none given'.")


def test_commas_that_may_mark_thousands_are_refused_until_the_layout_says(tmp_path):
    content = "a;b\n1;1,250\n2;3,500\n"
    with pytest.raises(CorpusError, match=r"column b of .*t.csv' can be read in two ways: expected .*, found '1,250'"):
        numbers(rows_of(tmp_path, content))
    assert numbers(rows_of(tmp_path, content, decimal=",")) == [1.25, 3.5]
    assert numbers(rows_of(tmp_path, "a;b\n1;1,250\n2;0,5\n")) == [1.25, 0.5]
    with pytest.raises(CorpusError, match=r"b is not a number in line 2"):
        numbers(rows_of(tmp_path, content, decimal="."))
    with pytest.raises(CorpusError, match=r"b is not a number in line 2"):
        numbers(rows_of(tmp_path, "a;b\n1;1.250\n", decimal=","))


@pytest.mark.parametrize("header", ["a,b,b", "a,b, b", "b,a,a"])
def test_a_column_that_stands_twice_is_refused(tmp_path, header):
    with pytest.raises(CorpusError, match=r"column (a|b) stands in .*t.csv' more than once: expected each .*, found"):
        rows_of(tmp_path, f"{header}\n1,2,3\n")


def test_columns_without_a_name_may_be_many(tmp_path):
    assert numbers(rows_of(tmp_path, "a,b,,\n1,2,,\n")) == [2.0]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_values_stand_between_whatever_gives_the_columns(tmp_path, name, delimiter):
    content = "a,b\n1,2.5\n".replace(",", delimiter)
    assert numbers(rows_of(tmp_path, content, name=name)) == [2.5]


def test_tables_of_spreadsheets_in_utf_16_are_read(tmp_path):
    assert numbers(rows_of(tmp_path, "a\tb\n1\t3,5\n".encode("utf-16"), name="t.txt")) == [3.5]


def test_other_encodings_are_refused_where_they_bear_on_something(tmp_path):
    content = "a,b,who\nfröhlich,1,Jürgen\n".encode("latin-1")
    assert numbers(rows_of(tmp_path, content, columns=("b",))) == [1.0]
    with pytest.raises(
        CorpusError, match=r"column a in line 2 of .*t.csv' cannot be read: expected text in UTF-8"
    ) as e:
        rows_of(tmp_path, content)
    assert "CSV UTF-8" in e.value.hint
    with pytest.raises(CorpusError, match=r"t.csv' cannot be read: expected a table as text in UTF-8, found zero"):
        rows_of(tmp_path, "a,b\n1,2\n".encode("utf-16-le"))


def test_quoted_values_may_have_ends_of_lines(tmp_path):
    rows = rows_of(tmp_path, 'a,b\n"one\ntwo",2\nx,y\n')
    assert rows[0]["a"] == "one\ntwo"
    with pytest.raises(CorpusError, match="line 4"):
        rows[1].number("b")
