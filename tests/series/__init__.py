import pytest

pytest.register_assert_rewrite("tests.series.ptr_ring_model")
