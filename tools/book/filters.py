"""Rows of a table that are a choice of test images, as links to just these in the case browser."""

import html
import re
from typing import Any
from urllib.parse import quote

from bs4 import BeautifulSoup

ANCHOR = '<a href="{link}">{text}</a>'


#: variable of patients.csv or images.csv → what the case browser calls it
KEYS = {"age_years": "age", "bmi_kg_m2": "bmi", "sex": "sex", "device": "device"}


def _group(row: dict) -> str | None:
    key, group = KEYS.get(row["variable"]), row["group"]
    if key is None:
        return None
    chosen = f"{key}={quote(group)}"
    if key in ("age", "bmi"):
        least, below = re.findall(r"(?:≥ )?([\d.]*)(?:< | to )?([\d.]*)", group)[0]
        chosen = f"where={key},{least},{below}"
    return f"net={quote(row['model'])}&class={quote(row['class'])}&{chosen}"


def _failed(row: dict) -> str | None:
    if int(row["below"]):
        return f"net={quote(row['model'])}&class={quote(row['class'])}&failed=failed"
    return None


#: table → (heading of the column that leads to the images, row of its CSV → filter or None)
OF = {
    "subgroups": ("group", _group),
    "failed_images": ("below", _failed),
    "failures": ("below", _failed),
}


def fill(cell: Any, markup: str) -> None:
    """Replace what a cell (of BeautifulSoup) holds by HTML."""
    cell.clear()
    cell.append(BeautifulSoup(markup, "html.parser"))


def link(table: Any, rows: list[dict], name: str) -> None:
    """Make the cells of one column of a table (of BeautifulSoup) links. rows: of its CSV."""
    heading, of = OF[name]
    head, *lines = [line.find_all(["th", "td"]) for line in table.find_all("tr")]
    heads = [cell.get_text().strip() for cell in head]
    if heading not in heads or len(lines) != len(rows):
        return
    for cells, row in zip(lines, rows, strict=True):
        if chosen := of(row):
            cell = cells[heads.index(heading)]
            address = html.escape(f"cases.html#{chosen}")
            fill(cell, ANCHOR.format(link=address, text=html.escape(cell.get_text().strip())))
