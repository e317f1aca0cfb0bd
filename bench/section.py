"""The part of a page that a command writes; the rest of it is a person's. Pure.

`<!-- NAME:begin -->` and `<!-- NAME:end -->`, each on a line of its own, stand around the part.
"""


def replaced(page: str, name: str, text: str) -> str:
    """The page with another text in the section. ValueError where the page has none."""
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    before, opening, rest = page.partition(begin)
    _, closing, after = rest.partition(end)
    if not opening or not closing:
        raise ValueError(f"the page has no section {name}")
    return f"{before}{begin}{text.strip()}\n{end}{after}"
