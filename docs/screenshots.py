"""Take the README's pictures of the page from a running `odum serve`: ``make screenshots``.

Needs Chromium, and what ``tests/api/browser-requirements.txt`` names where Python finds it.
"""

import argparse
import io
import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

IMAGES = Path(__file__).parent / "images"
SIZE = {"width": 1280, "height": 780}


def main() -> None:
    """Take them of the service's latest run in report mode that has ticks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    url = parser.parse_args().url
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for name, (path, theme) in pictures(url).items():
            context = browser.new_context(viewport=SIZE, base_url=url, color_scheme=theme)
            page = context.new_page()
            page.goto(path)
            page.wait_for_load_state("networkidle")
            if name == "run":
                page.get_by_role("application").scroll_into_view_if_needed()
            _save(page.screenshot(), IMAGES / f"{name}.png")
            context.close()
        browser.close()


def _save(picture: bytes, path: Path) -> None:
    """Write a picture with a palette: a third of the bytes, and no edge of a letter changes."""
    from PIL import Image

    found = Image.open(io.BytesIO(picture)).convert("RGB")
    colors = found.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    colors.save(path, optimize=True)


def pictures(url: str) -> dict[str, tuple[str, str]]:
    """Return address and theme of each picture by its name."""
    runs = [run for run in _runs(url) if run["detail"] == "report" and run["fills"]]
    ticks = [run for run in runs if "BINANCE" in run["instrument"]] or runs
    alike = [run["run_id"] for run in ticks if run["config_name"] == ticks[0]["config_name"]]
    ids = ",".join(alike[:3])
    return {
        "runs": ("/", "light"),
        "run": (f"/runs/{ticks[0]['run_id']}", "dark"),
        "compare": (f"/compare?ids={ids}", "light"),
    }


def _runs(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/api/v1/runs?status=succeeded") as reply:  # noqa: S310
        found: list[dict[str, Any]] = json.load(reply)["runs"]
    return found


if __name__ == "__main__":
    main()
