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


#: Folders whose tests are about threads and processes, or about all at once: BLAS has its own threads there.
THREADED = {"backend", "package", "together", "training"}


@pytest.fixture(autouse=True, scope="module")
def one_thread_of_blas(request):
    """NumPy multiplies on one thread: two wait for each other, busily, where other tests have the cores."""
    from purecnn.backend import blas

    control = None if THREADED & set(request.path.parts) else blas.control()
    if control is None:
        yield
        return
    before = control.get()
    control.put(1)
    yield
    control.put(before)


def pytest_addoption(parser):
    parser.addoption(
        "--device", default="strict", help="the device that the tests of devices run on: strict, sycl or cuda"
    )
