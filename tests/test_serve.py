"""Serving says at once, in one line, that an address is taken."""

import socket
from unittest.mock import patch

import pytest

import cxreco.serve
from cxreco.cli import main
from cxreco.edge.settings import load_settings


def test_an_address_that_is_taken_is_one_line_and_exit_code_one(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as left:
        port = taken.getsockname()[1]
        main(["serve", "--port", str(port)])
    assert left.value.code == 1
    said = capsys.readouterr().err
    assert f"127.0.0.1:{port}" in said and said.count("\n") == 1


def test_a_free_address_is_left_free_for_the_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with patch("uvicorn.run", lambda *_, port, **__: socket.create_server(("127.0.0.1", port)).close()) as _:
        cxreco.serve.run(load_settings(port=port))
