"""What is not sent: keys, in variables and in commands, and paths of this machine."""

import secrets
from pathlib import Path

import pytest

from cluster.submit.checks import SubmitError, check_environment, check_paths, check_words


@pytest.mark.parametrize(
    "name",
    [
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SESSION_TOKEN",
        "RAY_AUTH_TOKEN",
        "HF_TOKEN",
        "OPENAI_API_KEY",
        "apikey",
        "DB_PASSWORD",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "AZURE_STORAGE_SAS",
        "SSH_PRIVATE_FILE",
        "RCLONE_AUTH",
    ],
)
def test_variables_that_name_a_secret(name: str) -> None:
    value = secrets.token_hex(10)
    with pytest.raises(SubmitError) as refused:
        check_environment({name: value})
    said = str(refused.value)
    assert said.startswith(f"--env {name}=...: not sent")
    assert value not in said
    assert "instance profile" in said
    assert "--aws-profile" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "name",
    [
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_ENDPOINT_URL",
        "PMAM_RETRY_S",
        "KEYBOARD",
        "MONKEY",
        "TOKENS_A",
    ],
)
def test_variables_that_name_none(name: str) -> None:
    check_environment({name: "value"})


def test_a_secret_under_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = secrets.token_hex(20)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    with pytest.raises(SubmitError, match="the value of AWS_SECRET_ACCESS_KEY") as refused:
        check_environment({"HARMLESS": f"x{secret}y"})
    assert secret not in str(refused.value)
    for words in (["pack", f"--x={secret}"], ["pack", f"https://host/?q={secret}"]):
        with pytest.raises(SubmitError, match="the value of AWS_SECRET_ACCESS_KEY") as refused:
            check_words(words)
        assert secret not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://me:mine@bucket/x",
        "https://host/x?X-Amz-Signature=abc",
        "https://host/x?a=1&sig=abc",
    ],
)
def test_urls_with_credentials_in_them(url: str) -> None:
    with pytest.raises(SubmitError, match="URL with credentials"):
        check_words(["pack", url, "s3://bucket/out"])


def test_harmless_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short value stands in other words by chance."""
    monkeypatch.setenv("SOME_TOKEN", "run")
    check_words(["run", "--data", "s3://bucket/a:b", "--out", "https://host:80/x?part=2"])


def test_paths_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    for path in ("here", "./absent", "/somewhere", "~/data", str(tmp_path / "here")):
        with pytest.raises(SubmitError) as refused:
            check_paths(["s3://bucket/a", path], [])
        assert str(refused.value).startswith(f"{path}: a path of this machine")
        assert "s3://bucket/" in str(refused.value)
    check_paths(["s3://bucket/a", "own_data", "50", "pipe:cat x", "--k"], [])


def test_what_a_command_makes_need_not_look_like_a_path() -> None:
    with pytest.raises(SubmitError, match=r"^out: a path of this machine"):
        check_paths([], [], new=["out"])


def test_shared_folders_and_clusters_on_this_machine() -> None:
    check_paths(["/mnt/all/x", "/mnt/all"], ["/mnt/all"])
    with pytest.raises(SubmitError):
        check_paths(["/mnt/all-mine/x"], ["/mnt/all"])
    check_paths(["/somewhere/else"], [], local=True)
    with pytest.raises(SubmitError):  # the job has another working directory
        check_paths(["./x"], ["/mnt/all"], local=True)
