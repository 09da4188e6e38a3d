"""A reader beside the work: ``python watcher.py EXPECTED`` in a project's folder.

It reads catalog files, manifests and results over and over, with the product's readers and with
plain pyarrow and json, until its input ends. It prints a line for everything that no reader may
ever see, and at the end how often it looked.

``EXPECTED`` is a JSON file: the sha256 of every data file, and the digests of every result, that
an undisturbed run can come to.
"""

import hashlib
import json
import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pieces import CONFIG, DAY

from odum_assets.catalog import PartitionRequest, catalog_view, list_manifests
from odum_assets.errors import DataError
from odum_assets.results.store import ResultStore

CATALOG = Path("data/catalog")
RESULTS = Path("data/results")


class Watcher:
    """Look at a project's files and remember what must not be.

    Parameters
    ----------
    expected : dict
        ``files``: allowed sha256 of data files; ``digests``: allowed digests of results; ``ticks``:
        allowed sha256 of tick exports.
    """

    def __init__(self, expected: dict[str, Any]) -> None:
        self._files = set(expected["files"])
        self._digests = set(expected["digests"])
        self._ticks = set(expected["ticks"])
        self.looks: Counter[str] = Counter()

    def look(self) -> None:
        """Look at everything once."""
        for path in CATALOG.glob("data/**/*.parquet"):
            self._try(path, self._plain_data)
        for path in CATALOG.glob("manifests/*/*/*.json"):
            self._try(path, self._plain_manifest)
        self._try(CATALOG, self._product_catalog)
        for path in RESULTS.glob("fast/*.json"):
            self._try(path, self._plain_result)
        for path in RESULTS.glob("tickdata/*.json"):
            self._try(path, self._plain_ticks)
        self._try(RESULTS, self._product_results)

    def _try(self, path: Path, check: Callable[[Path], None]) -> None:
        self.looks[check.__name__] += 1
        try:
            check(path)
        except FileNotFoundError:
            self.looks["gone"] += 1  # replaced or removed between the listing and the reading
        except Exception as error:  # noqa: BLE001 - whatever a reader meets is what is looked for
            _say(f"{check.__name__} {path}: {type(error).__name__}: {error}")

    def _plain_data(self, path: Path) -> None:
        with path.open("rb") as file:
            content = file.read()
            table = pq.ParquetFile(file).read()
        digest = hashlib.sha256(content).hexdigest()
        if digest not in self._files or not table.num_rows:
            raise AssertionError(f"{len(content)} bytes that no conversion makes")

    def _plain_manifest(self, path: Path) -> None:
        """A manifest that is the same before and after must fit the file between."""
        before = path.read_text(encoding="utf-8")
        manifest = json.loads(before)
        folder = {"trades": "trades", "book_snapshot_5": "order_book_depths"}[path.parent.name]
        data = CATALOG / "data" / folder / manifest["nautilus_id"] / manifest["file"]["name"]
        try:
            found = hashlib.sha256(data.read_bytes()).hexdigest()
        except FileNotFoundError:
            found = "no such file"
        rejects = path.with_suffix(".rejects.parquet")
        counted = sum(manifest["rejected"].values())
        try:
            kept = pq.ParquetFile(rejects).metadata.num_rows
        except FileNotFoundError:
            kept = 0
        if path.read_text(encoding="utf-8") != before:
            self.looks["changed"] += 1
            return
        if found != manifest["file"]["sha256"]:
            raise AssertionError(f"names a file of {manifest['file']['sha256']}, there is {found}")
        if kept != counted:
            raise AssertionError(f"counts {counted} rejects, the side file has {kept}")

    def _product_catalog(self, _: Path) -> None:
        for manifest in list_manifests(CATALOG):
            request = PartitionRequest(_key(), manifest.data_type, (DAY,))
            with tempfile.TemporaryDirectory(dir=os.environ["WATCHER_FOLDER"]) as folder:
                try:
                    (viewed,) = catalog_view(CATALOG, [request], Path(folder))
                except DataError as error:
                    # A killed conversion may leave no partition; a half one never.
                    if "lacks partitions" not in str(error):
                        raise
                    self.looks["lacking"] += 1
                    continue
                content = viewed.data_path(Path(folder)).read_bytes()
                if hashlib.sha256(content).hexdigest() != viewed.file.sha256:
                    raise AssertionError("the view does not fit its manifest")

    def _plain_result(self, path: Path) -> None:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["metadata"]["digest"] not in self._digests:
            raise AssertionError("a digest that no undisturbed run gives")
        if document["mode"] != "report":
            return
        folder = RESULTS / "report" / document["run_id"]
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        orders = json.loads((folder / "orders.json").read_text(encoding="utf-8"))
        json.loads((folder / "timeline.json").read_text(encoding="utf-8"))
        json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
        tables = {
            name: pq.ParquetFile(folder / f"{name}.parquet").read().num_rows
            for name in ("orders", "fills", "positions", "equity")
        }
        figures = document["summary"]
        if summary != document or not (figures["orders"] == len(orders) == tables["orders"]):
            raise AssertionError(f"a report that is not of this run: {tables}")
        if figures["fills"] != tables["fills"]:
            raise AssertionError(f"a report that lacks fills: {tables}")
        tearsheet = folder / "tearsheet.html"
        if tearsheet.exists() and not tearsheet.read_text("utf-8").rstrip().endswith("</html>"):
            raise AssertionError("half a tearsheet")

    def _plain_ticks(self, path: Path) -> None:
        if hashlib.sha256(path.read_bytes()).hexdigest() not in self._ticks:
            raise AssertionError("ticks that no undisturbed export writes")

    def _product_results(self, path: Path) -> None:
        store = ResultStore(path)
        for entry in store.entries():
            if entry.report_path is not None and not entry.report_path.is_dir():
                raise AssertionError(f"{entry.run_id} has no report folder")
        store.current(CONFIG, str(DAY))


def _key() -> Any:
    from odum_assets.config import load_config

    return load_config(Path(f"configs/{CONFIG}.json")).key


def _say(text: str) -> None:
    print(text.replace("\n", " "), flush=True)


def main() -> None:
    """Look until the input ends."""
    watcher = Watcher(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    _say("ready")
    while not ended.is_set():
        watcher.look()
        ended.wait(0.05)
    _say(f"looks: {json.dumps(watcher.looks)}")


if __name__ == "__main__":
    main()
