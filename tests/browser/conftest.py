"""What every test of a page in a browser gets."""

from browser_page import browser  # noqa: F401 - a fixture
