"""Secrets do not get into a record: by their names, and in URLs. What is no secret stays."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.capture.redaction import REDACTED, redact_arguments, without_secrets

WORDS = st.sampled_from(["token", "PASSWORD", "Secret", "key", "passwd", "credential"])
AROUND = st.text("abcXYZ_.-", max_size=5)
NAMES = st.builds(lambda before, word, after: f"a{before}{word}{after}", AROUND, WORDS, AROUND)
PLAIN = st.text("abcdefghij0123456789", max_size=10).map(lambda rest: "s3cr3t" + rest)


@given(NAMES, PLAIN)
def test_no_form_of_a_named_value_is_kept(name: str, value: str) -> None:
    for arguments in (
        [f"--{name}", value],
        [f"-{name}", value],
        [f"--{name}={value}"],
        [f"{name}={value}"],
        [f"+a/{name}={value} and {value}"],
        [f"{name}: {value}"],
        [f'{{"lr": 1, "{name}": "{value}"}}'],
        ["-c", f"import x; {name} = '{value} {value}'; x.run()"],
        [f"https://x.org/?a=1&{name}={value}&b=2"],
    ):
        assert "s3cr3t" not in " ".join(redact_arguments(["python", *arguments, "--lr", "1"]))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("https://ada:hunter2@example.org/x.git", "https://example.org/x.git"),
        ("https://ghp_token@example.org/x", "https://example.org/x"),
        ("https://ada:p@ss@example.org/x", "https://example.org/x"),
        ("postgres://ada:p/w@db:5432/x", "postgres://db:5432/x"),
        ("git+ssh://git@example.org/x", "git+ssh://example.org/x"),
        ("from s3://k:s@a/b to 1s3://k:s@c/d", "from s3://a/b to 1s3://c/d"),
        ("http://host:8080/path@v1", "http://host:8080/path@v1"),
        ("git@example.org:team/x.git", "git@example.org:team/x.git"),
        ("registry:5000/image@sha256:00", "registry:5000/image@sha256:00"),
    ],
)
def test_urls_lose_their_userinfo_and_nothing_else(text: str, kept: str) -> None:
    assert without_secrets(text) == kept


def test_what_follows_a_flag_of_a_secret_is_hidden_but_not_the_next_flag() -> None:
    arguments = ["train.py", "--use-key", "--lr=1", "--token", "-x", "7", "--name", "--no-secret"]
    assert redact_arguments(arguments) == (
        *("train.py", "--use-key", "--lr=1", "--token", REDACTED, "7", "--name", "--no-secret"),
    )


@pytest.mark.parametrize(
    "name",
    """token access_token access-token accessToken api-key hf_token HF_TOKEN token_value token.file my.token tokenabc
    hf_tokens access-tokens auth_tokens ipad_token tokenizer_api_key tokenizer_token max_tokens_secret
    token_ids_password""".split(),
)
def test_what_lets_in_is_hidden(name: str) -> None:
    assert redact_arguments([f"--{name}", "s3cr3t"]) == (f"--{name}", REDACTED)
    assert redact_arguments([f"--{name}=s3cr3t"]) == (f"--{name}={REDACTED}",)
    assert "s3cr3t" not in without_secrets(f'{{"lr": 1, "{name}": "s3cr3t"}}')


@pytest.mark.parametrize(
    "name",
    """tokenizer tokenizer_name tokenizer.path tokenize tokenise Tokenization tokens max_tokens max-tokens MAX_TOKENS
    num_tokens_per_batch token_ids token-id tokenIds pad_token_id token_type_ids pad_token eos-token mask_token
    special_tokens""".split(),
)
def test_the_tokens_of_a_model_are_no_secrets(name: str) -> None:
    for arguments in ([f"--{name}", "bert"], [f"--{name}=bert"], [f"{name}=bert"], [f'{{"{name}": "bert"}}']):
        assert redact_arguments(arguments) == tuple(arguments)
    url = f"https://x.org/?{name}=7&lr=1"
    assert without_secrets(url) == url


def test_an_authorization_header_is_hidden() -> None:
    assert redact_arguments(["-H", "Authorization: Bearer abc"]) == ("-H", f"Authorization:{REDACTED}")
    assert "abc" not in without_secrets('{"headers": {"Authorization": "Bearer abc"}}')


def test_a_long_command_line_is_cut() -> None:
    redacted = redact_arguments(["x"] * 10_000)
    assert len(redacted) < 1000
    assert redacted[-1] == "…"


def test_a_url_that_is_cut_within_its_userinfo_is_cut_before_it() -> None:
    assert "hunter" not in without_secrets("x " * 2040 + "https://ada:" + "hunter2" * 10 + "@x.org")


@pytest.mark.parametrize(
    "hostile",
    [
        *("a" * 10**6, "key" * 400_000, "--" + "key" * 1300, "http://" * 10**5, "x://" + "a:" * 5000, "a.b-" * 10**5),
        *("tokens_" * 10**5, "--" + "tokenizer-" * 400, "pad_token" * 10**5),
    ],
)
def test_no_argument_takes_long(hostile: str) -> None:
    began = time.process_time()
    redact_arguments([hostile])
    assert time.process_time() - began < 5
