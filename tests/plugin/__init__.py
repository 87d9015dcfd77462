import pytest

pytest.register_assert_rewrite("tests.plugin.projects")
