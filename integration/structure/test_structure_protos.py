"""The contract explains itself: every element of every proto file has a comment, and every enum an unspecified zero."""

from importlib import resources
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

ROOT = Path(__file__).parents[2]
PROTOS = sorted(path.relative_to(ROOT / "proto") for path in (ROOT / "proto" / "dstk").rglob("*.proto"))


def described(file: Path, root: Path, directory: Path) -> descriptor_pb2.FileDescriptorProto:
    """The file's descriptor with its comments."""
    target = directory / "descriptors"
    includes = [f"-I{root}", f"-I{resources.files('grpc_tools') / '_proto'}"]
    arguments = ["protoc", *includes, "--include_source_info", f"--descriptor_set_out={target}", str(root / file)]
    assert protoc.main(arguments) == 0
    return descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes()).file[0]


def uncommented(file: descriptor_pb2.FileDescriptorProto) -> list[str]:
    """Names of elements without a comment, but for messages that are the request or answer of an RPC, which say it all."""
    comments = {
        tuple(place.path): place.leading_comments.strip() or place.trailing_comments.strip()
        for place in file.source_code_info.location
    }
    of_calls = {
        name.rpartition(".")[2]
        for service in file.service
        for method in service.method
        for name in (method.input_type, method.output_type)
    }
    elements: dict[tuple[int, ...], str] = {}
    for at, message in enumerate(file.message_type):
        if message.name not in of_calls:
            elements[4, at] = message.name
        elements |= {(4, at, 2, n): f"{message.name}.{field.name}" for n, field in enumerate(message.field)}
    for at, enum in enumerate(file.enum_type):
        elements[5, at] = enum.name
        elements |= {(5, at, 2, n): value.name for n, value in enumerate(enum.value) if value.number}
    for at, service in enumerate(file.service):
        elements[6, at] = service.name
        elements |= {(6, at, 2, n): f"{service.name}.{method.name}" for n, method in enumerate(service.method)}
    return [name for path, name in elements.items() if not comments.get(path)]


@pytest.mark.parametrize("file", PROTOS, ids=str)
def test_every_element_has_a_comment(file: Path, tmp_path: Path) -> None:
    assert uncommented(described(file, ROOT / "proto", tmp_path)) == []


@pytest.mark.parametrize("file", PROTOS, ids=str)
def test_enums_begin_with_unspecified(file: Path, tmp_path: Path) -> None:
    for enum in described(file, ROOT / "proto", tmp_path).enum_type:
        assert enum.value[0].number == 0
        assert enum.value[0].name.endswith("_UNSPECIFIED")


def test_a_missing_comment_is_found(tmp_path: Path) -> None:
    (tmp_path / "bad.proto").write_text(
        'syntax = "proto3";\n// A thing.\nmessage Thing {\n  // Good.\n  int32 a = 1;\n  int32 b = 2;\n}\n'
    )
    assert uncommented(described(Path("bad.proto"), tmp_path, tmp_path)) == ["Thing.b"]
