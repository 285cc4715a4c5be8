"""What holds in all tests."""

import pytest


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
