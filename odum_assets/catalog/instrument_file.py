"""The instrument definition of a catalog, written by Nautilus itself.

With it the catalog is a complete Nautilus catalog. Nautilus' writer keeps an old definition beside
a changed one, so the definition's folder is always replaced as a whole.
"""

import shutil
from pathlib import Path

from odum_assets.catalog.locks import held
from odum_assets.catalog.scratch import scratch_folder
from odum_assets.instruments import InstrumentSpec


def write_instrument(catalog_root: Path, spec: InstrumentSpec) -> None:
    """Write the definition of an instrument into a catalog, unless it is there and the same.

    Parameters
    ----------
    catalog_root : Path
        The catalog; made if it does not exist.
    spec : InstrumentSpec
        The instrument.
    """
    from nautilus_trader.persistence import ParquetDataCatalog

    from odum_assets.instruments.definitions import nautilus_instrument

    nautilus_id = spec.key.nautilus_id
    lock = catalog_root / ".locks" / f"{nautilus_id}.instrument.lock"
    with held(lock), scratch_folder(catalog_root / ".staging") as workshop:
        catalog = ParquetDataCatalog(str(workshop.resolve()))
        catalog.write_instruments([nautilus_instrument(spec)])
        for made in (workshop / "data").glob(f"*/{nautilus_id}"):
            _replace_folder(made, catalog_root / made.relative_to(workshop), catalog_root)


def _replace_folder(made: Path, home: Path, catalog_root: Path) -> None:
    if _contents(made) == _contents(home):
        return
    for other in (catalog_root / "data").glob(f"crypto_*/{home.name}"):
        shutil.rmtree(other)
    for other in (catalog_root / "data").glob(f"currency_pair*/{home.name}"):
        shutil.rmtree(other)
    home.parent.mkdir(parents=True, exist_ok=True)
    made.rename(home)


def _contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*")) if file.is_file()}
