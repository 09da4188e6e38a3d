"""What is wrong with a bucket is said in one line, soon, and without credentials."""

import logging
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from emulator import BUCKET, Proxy, Rule
from google.oauth2 import service_account

from odum_assets.cli.rendering import Output
from odum_assets.errors import ConfigError, DataError
from odum_assets.raw.layout import list_days, list_raw_files
from odum_assets.settings import load_settings
from odum_assets.storage import outages, stores
from odum_assets.storage.buckets import Bucket

_FAULTS = {
    "clock": (403, "RequestTimeTooSkewed", r"RequestTimeTooSkewed.*timedatectl"),
    "other region": (301, "PermanentRedirect", "another region: set AWS_DEFAULT_REGION"),
    "wrong region": (
        400,
        "AuthorizationHeaderMalformed",
        "another region: set AWS_DEFAULT_REGION",
    ),
    "not allowed": (403, "AccessDenied", "may not do this: check its policies"),
    "unknown key": (403, "InvalidAccessKeyId", "Check AWS_ACCESS_KEY_ID"),
}


def _lines_of(uses: list[Callable[[], object]]) -> list[str]:
    lines = []
    for use in uses:
        with pytest.raises(DataError) as caught:
            use()
        lines.append(str(caught.value))
    return lines


@pytest.mark.parametrize("fault", _FAULTS)
def test_what_s3_refuses_is_explained(
    s3_proxy: Proxy, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    status, code, said = _FAULTS[fault]
    source = tmp_path / "source"
    source.write_bytes(b"bytes")
    address = f"s3://{BUCKET}/folder"
    bucket = Bucket(address)
    bucket.put("there", source)
    caplog.set_level(logging.DEBUG, "odum_assets")
    body = f"<Error><Code>{code}</Code><Message>{code} as the test has it</Message></Error>"
    s3_proxy.rules.append(Rule(".", status, times=999, body=body))
    lines = _lines_of(
        [
            bucket.listing,
            lambda: bucket.stat("there"),
            lambda: bucket.put("there", source),
            lambda: bucket.remove("there"),
            lambda: list_days(address),
            lambda: list_raw_files(address),
        ]
    )
    for line in lines:
        assert line.startswith(address)
        assert re.search(said, line), line
        assert "\n" not in line
        assert "a-secret-key" not in line
    assert "a-secret-key" not in caplog.text
    s3_proxy.rules.clear()
    assert list(bucket.listing()) == ["there"]


def test_a_bucket_of_s3_that_does_not_exist_is_named(s3_proxy: Proxy) -> None:  # noqa: ARG001
    nowhere = "s3://no-such-bucket/data"
    for line in _lines_of([Bucket(nowhere).listing, lambda: list_raw_files(nowhere)]):
        assert "there is no bucket s3://no-such-bucket. " in line
        assert line.endswith("aws s3 mb s3://no-such-bucket")


def test_a_wrong_clock_is_found_when_google_refuses_the_login(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    about = {
        "client_email": "odum@example.iam.gserviceaccount.com",
        "token_uri": f"{proxy.url}/token",
        "private_key": key.decode(),
    }
    account = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
        about, scopes=["storage"]
    )
    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": account})
    body = (
        '{"error": "invalid_grant", "error_description": "Invalid JWT: Token must be a short-lived'
        ' token (60 minutes) and in a reasonable timeframe. Check your iat and exp values."}'
    )
    proxy.rules.append(Rule("POST /token", 400, times=99, body=body))
    (line,) = _lines_of([Bucket(f"gs://{BUCKET}").listing])
    assert "Invalid Credentials" in line
    assert "The clock of this machine is wrong: set it" in line
    assert about["private_key"][40:60] not in line
    # Refused once is refused: nothing is asked again.
    assert len(proxy.requests) == 1


def test_a_service_that_cannot_be_reached_is_mentioned_and_given_up(
    s3_proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(outages, "NOTICE_SECS", 0.5)
    monkeypatch.setattr(outages, "_mentioned", {})
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        bucket = Bucket(f"s3://{BUCKET}/folder")
        began = time.monotonic()
        (first,) = _lines_of([bucket.listing])
        waited = time.monotonic() - began
        (second,) = _lines_of([lambda: bucket.stat("there")])
        assert time.monotonic() - began < 1.5 * waited
    assert "the bucket service cannot be reached" in first
    assert "given up after" in first
    assert second.startswith(f"s3://{BUCKET}/folder/there: the bucket service cannot be reached")
    (notice,) = [entry.message for entry in caplog.records if "has not answered" in entry.message]
    assert notice.startswith(f"s3://{BUCKET}/folder: the bucket service has not answered")
    # It is asked again after a while.
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_proxy.url)
    monkeypatch.setattr(outages, "SILENT_SECS", 0.0)
    assert bucket.has("nothing") is False


_KEYS = {
    "no JSON": ('{"private_key": "a-secret-key"', "not a valid json file"),
    "no account": ('{"type": "service_account", "private_key": "a-secret-key"}', "Failed to load"),
    "a list": ('["a-secret-key"]', "not as such a file is"),
    "nothing": (None, "was not found"),
}


@pytest.mark.parametrize("key", _KEYS)
def test_a_key_of_google_that_cannot_be_used_is_said_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    content, said = _KEYS[key]
    file = tmp_path / "key.json"
    if content is not None:
        file.write_text(content)
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    stores._login_type.cache_clear()
    # No emulator and no network: without the key's error, the driver would ask Google.
    (line,) = _lines_of([Bucket(f"gs://{BUCKET}").listing])
    assert line.startswith(f"GOOGLE_APPLICATION_CREDENTIALS: {file} cannot be used (")
    assert said in line
    assert "gcloud auth application-default login" in line
    assert "a-secret-key" not in line
    assert "\n" not in line


_AMAZON = {
    "AWS_PROFILE": ("nobody", r"config profile \(nobody\).*AWS_ACCESS_KEY_ID"),
    "AWS_SHARED_CREDENTIALS_FILE": ("broken", "parse config file.*AWS_SHARED_CREDENTIALS_FILE"),
    "AWS_ENDPOINT_URL": ("not an address", "Invalid endpoint.*Check AWS_ENDPOINT_URL"),
    "AWS_DEFAULT_REGION": ("the moon", "region_name 'the moon'.*Check AWS_DEFAULT_REGION"),
}


@pytest.mark.parametrize("variable", _AMAZON)
def test_a_variable_of_amazon_that_cannot_be_used_is_named(
    s3_proxy: Proxy,  # noqa: ARG001 - where requests go if the variable is taken
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    value, said = _AMAZON[variable]
    if value == "broken":
        (tmp_path / value).write_text("a-secret-key\n[default")
        value = str(tmp_path / value)
    if variable in {"AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE"}:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv(variable, value)
    fsspec.filesystem("s3").clear_instance_cache()
    (line,) = _lines_of([Bucket(f"s3://{BUCKET}/folder").listing])
    assert re.search(said, line), line
    assert "a-secret-key" not in line


def test_an_address_without_a_bucket_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIFIED_CLOUD_LOCAL_PATH", "gs://")
    with pytest.raises(ConfigError, match="UNIFIED_CLOUD_LOCAL_PATH: found 'gs://', allowed a fo"):
        load_settings()


def test_a_warning_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    for text in ("gs://nowhere: there is no bucket", "gs://nowhere: there is no bucket", "other"):
        output.warn(text)
    assert capsys.readouterr().err == "! gs://nowhere: there is no bucket\n! other\n"
