"""Where things lie in the repository."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAPS = ROOT / "include" / "dualsync" / "maps"
PUBLISHED = ROOT / "tests" / "unit" / "library" / "mapping" / "mapping_data"
"""Facts of the published table maps, as tables."""
