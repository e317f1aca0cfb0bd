import pytest
from bench.section import replaced

PAGE = """# Title
<!-- one:begin -->
old
<!-- one:end -->
between
<!-- two:begin -->
<!-- two:end -->
after
"""


def test_only_the_named_section_changes() -> None:
    page = replaced(PAGE, "one", "\nnew\n")
    assert page == PAGE.replace("old", "new")
    assert replaced(page, "one", "old") == PAGE


def test_an_empty_section_is_filled() -> None:
    assert "<!-- two:begin -->\nfull\n<!-- two:end -->\nafter" in replaced(PAGE, "two", "full")


def test_a_page_without_the_section_is_refused() -> None:
    with pytest.raises(ValueError, match="no section three"):
        replaced(PAGE, "three", "text")
