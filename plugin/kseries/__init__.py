"""pytest-kseries: one kernel patch series, stock against patched, in one pytest run."""
