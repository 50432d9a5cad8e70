"""Write generated/ from protos/: the descriptor image, OpenAPI, the Python stubs, always byte for byte the same.

`python scripts/generate.py` rewrites; `python scripts/generate.py --check` changes nothing and exits 1
when the committed files are not what the contract gives.
"""

import argparse
import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc  # type: ignore[import-untyped]  # it ships no types
from openapi import document

ROOT = Path(__file__).resolve().parents[1]
GENERATED = ROOT / "generated"
IMAGE, STUBS = "descriptors.binpb", "identity_pb"
OPENAPI = f"{STUBS}/v1/openapi.json"
PACKAGES = {STUBS: "Python stubs of the contract; generated, never edited.", f"{STUBS}/v1": "Stubs of identity.v1."}
API_VERSION = "v1"
# Their options travel inside the descriptors as bytes; no stub needs their modules.
OPTIONS_ONLY = {"buf/validate/validate.proto", "google/api/annotations.proto"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with generated/ and change nothing")
    check = parser.parse_args().check
    # buf and the protoc plugins live beside the interpreter, which need not be an activated environment.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    subprocess.run([sys.executable, str(ROOT / "scripts/protodeps.py")], check=True)
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / "generated"
        generate(fresh, Path(scratch) / "renamed.binpb")
        stale = differences(fresh)
        if not check:
            replace(fresh)
        elif stale:
            sys.exit("\n  ".join(["generated/ is stale, run `python scripts/generate.py`:", *stale]))


def generate(out: Path, renamed: Path) -> None:
    """Build the image with the original paths, and the stubs from a copy whose paths are renamed."""
    for package, docstring in PACKAGES.items():
        (out / package).mkdir(parents=True)
        (out / package / "__init__.py").write_text(f'"""{docstring}"""\n', encoding="utf-8")
    (out / STUBS / "py.typed").touch()
    subprocess.run(["buf", "build", "protos", "-o", str(out / IMAGE)], cwd=ROOT, check=True)
    image = FileDescriptorSet.FromString((out / IMAGE).read_bytes())
    openapi = json.dumps(document(image, API_VERSION), indent=1, ensure_ascii=False)
    (out / OPENAPI).write_text(f"{openapi}\n", encoding="utf-8")
    for file in image.file:
        file.name = rename(file.name)
        file.dependency[:] = [rename(name) for name in file.dependency if name not in OPTIONS_ONLY]
    renamed.write_bytes(image.SerializeToString(deterministic=True))
    ours = [file for file in image.file if file.name.startswith(f"{STUBS}/")]
    run(renamed, out, ["python_out=", "mypy_out=quiet:"], [file.name for file in ours])
    run(renamed, out, ["grpc_python_out=", "mypy_grpc_out=quiet:"], [file.name for file in ours if file.service])


def rename(path: str) -> str:
    """Rename a file path: Python names modules after paths, and `identity` is the hand-written package."""
    return path.replace("identity/", f"{STUBS}/", 1) if path.startswith("identity/") else path


def run(image: Path, out: Path, outs: list[str], names: list[str]) -> None:
    if code := protoc.main(["", f"--descriptor_set_in={image}", *(f"--{option}{out}" for option in outs), *names]):
        sys.exit(code)


def differences(fresh: Path) -> list[str]:
    """List the paths that the committed tree lacks, has too many, or holds with another content."""
    paths = owned(fresh) | owned(GENERATED)
    return sorted(
        path
        for path in paths
        if not (fresh / path).is_file()
        or not (GENERATED / path).is_file()
        or not filecmp.cmp(fresh / path, GENERATED / path, shallow=False)
    )


def owned(root: Path) -> set[str]:
    """Name the files below root that this script writes; other generators share the folder."""
    found = {path.relative_to(root).as_posix() for path in (root / STUBS).rglob("*") if path.is_file()}
    return {path for path in found if "__pycache__" not in path} | {IMAGE}


def replace(fresh: Path) -> None:
    shutil.rmtree(GENERATED / STUBS, ignore_errors=True)
    shutil.copytree(fresh, GENERATED, dirs_exist_ok=True)


if __name__ == "__main__":
    main()
