"""Loads pytester for tests/plugin; the plugin itself comes from its installed entry point."""

pytest_plugins = ["pytester"]
