"""What keeps people out of a page, as axe-core sees it: names, roles, contrast, labels, order."""

from __future__ import annotations

import pytest


def barriers(page) -> list[str]:
    """What axe-core finds against WCAG on a page of Playwright: rule and element, one per line."""
    axe = pytest.importorskip("axe_playwright_python.base", reason="needs the package axe-playwright-python")
    page.evaluate(axe.AXE_SCRIPT)
    violations = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [f"{one['id']}: {node['html'][:100]}" for one in violations for node in one["nodes"]]
