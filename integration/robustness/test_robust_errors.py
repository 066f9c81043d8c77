"""Every error of ours, of every package, crosses processes: pickled, copied, raised in a worker of a pool."""

import copy
import multiprocessing
import pickle
from collections.abc import Callable

import pytest
from kit.mistakes import every_class, example, failing

from dstk_keytypes import DstkError, InvalidArgument, InvalidInput, Key

ERRORS = [example(kind) for kind in every_class()]
COPIES: list[Callable[[Exception], Exception]] = [
    copy.copy,
    copy.deepcopy,
    lambda error: pickle.loads(pickle.dumps(error)),  # noqa: S301
    lambda error: pickle.loads(pickle.dumps(error, 0)),  # noqa: S301
]


def assert_equal(copied: BaseException, error: BaseException) -> None:
    assert type(copied) is type(error)
    assert str(copied) == str(error)
    assert repr(copied) == repr(error)
    assert copied.args == error.args
    assert vars(copied) == vars(error)


def test_the_classes_of_all_packages_are_found() -> None:
    names = {type(error).__name__ for error in ERRORS}
    assert {"InvalidKey", "NotOwner", "ClientClosed", "MapConflict", "StorageError", "CliError"} <= names
    assert len(ERRORS) > 40


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"{type(error).__module__}.{type(error).__name__}")
def test_a_copy_is_equal(error: Exception) -> None:
    noted = copy.copy(error)
    noted.add_note("while storing page 7")
    for way in COPIES:
        assert_equal(way(error), error)
        assert_equal(way(noted), noted)


def test_errors_raised_in_a_process_pool_arrive_and_leave_it_working() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        results = [pool.apply_async(failing, (error,)) for error in ERRORS]
        for error, result in zip(ERRORS, results, strict=True):
            with pytest.raises(type(error)) as raised:
                result.get(timeout=60)
            assert_equal(raised.value, error)
        with pytest.raises(InvalidArgument):  # and one that was made there
            pool.apply(Key, (b"",))
        assert pool.apply(abs, (-1,)) == 1


def test_errors_of_bad_input_share_a_base_and_are_value_errors() -> None:
    for kind in every_class():
        if issubclass(kind, InvalidInput):
            assert issubclass(kind, InvalidArgument)
    assert issubclass(InvalidArgument, DstkError)
    assert issubclass(InvalidArgument, ValueError)
