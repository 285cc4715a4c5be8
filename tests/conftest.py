"""What holds in all tests."""

import os

import pytest

# read by OpenBLAS when NumPy is imported: its threads, which look for more to do for a tenth of a second
# after each product, sleep at once and leave the processor to the other tests
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")


@pytest.fixture(autouse=True, scope="module")
def no_reports(request):
    """`train` writes no report, 5 MB and two seconds each, but where reports are tested."""
    with pytest.MonkeyPatch.context() as patch:
        if request.module is not None and request.module.__name__ != "test_report":
            patch.setattr("purecnn.cli.report.report_if_possible", lambda *_: None, raising=False)
        yield


def pytest_addoption(parser):
    parser.addoption(
        "--device", default="strict", help="the device that the tests of devices run on: strict, sycl or cuda"
    )
