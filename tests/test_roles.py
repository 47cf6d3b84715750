"""What each role may and may not, over real calls; and that a role on an alias is for that alias alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import weighbridge as wb
from alias_fixtures import pushed, to_production
from auth_fixtures import AskingWho, asking
from weighbridge.core.errors import WeighbridgeError

__all__ = ["asking"]
Deed = Callable[[wb.Client, str, Path], object]
ROLES = ("reader", "contributor", "approver", "maintainer", "admin")


def _push(client: wb.Client, model: str, folder: Path) -> object:
    folder.mkdir()
    return pushed(client, model, 1, folder)


RULES = [wb.PolicyRule("any", "true")]
DEEDS: Mapping[str, tuple[str, Deed]] = {
    "read": ("r c a m A", lambda client, model, _: client.version(f"{model}:1")),
    "list": ("r c a m A", lambda client, model, _: list(client.versions(model))),
    "pull": ("r c a m A", lambda client, model, folder: client.pull(f"{model}:1", folder / "pulled")),
    "compare": ("r c a m A", lambda client, model, _: client.compare(f"{model}:1", f"{model}:2")),
    "look at its events": ("r c a m A", lambda client, model, _: list(client.events(model=model))),
    "try a promotion": ("r c a m A", lambda client, model, _: client.promote(f"{model}:1", "staging", dry_run=True)),
    "report": ("r c a m A", lambda client, model, _: client.report_deployment(node="n", ref=f"{model}:1")),
    "push": ("c m A", _push),
    "create a model": ("c m A", lambda client, model, _: client.create_model(f"{model}x")),
    "tag": ("c m A", lambda client, model, _: client.update_version(f"{model}:1", set_tags={"a": 1})),
    "log metrics": ("c m A", lambda client, model, _: client.log_metrics(f"{model}:1", [wb.MetricPoint("loss", 1.0)])),
    "set an alias": ("c m A", lambda client, model, _: client.set_alias(model, "champion", 1)),
    "promote to staging": ("c m A", lambda client, model, _: client.promote(f"{model}:1", "staging")),
    "promote to production": ("m A", lambda client, model, _: client.promote(f"{model}:2", "production")),
    "archive": ("m A", lambda client, model, _: client.promote(f"{model}:1", "archived")),
    "roll back": ("m A", lambda client, model, _: client.rollback(f"{model}@gone", reason="x")),
    "remove an alias": ("m A", lambda client, model, _: client.delete_alias(model, "gone")),
    "describe a model": ("m A", lambda client, model, _: client.update_model(model, team="x")),
    "delete a model": ("m A", lambda client, model, _: client.delete_model(model, reason="x")),
    "delete a version": ("m A", lambda client, model, _: client.delete_version(f"{model}:1", reason="x")),
    "set a schema": ("m A", lambda client, model, _: client.set_schema(model, "{}")),
    "set a policy": ("m A", lambda client, model, _: client.set_policy(model, "staging", RULES)),
    "approve": ("a m A", lambda client, model, _: client.approve(f"{model}:2", "staging")),
    "grant": ("A", lambda client, model, _: client.grant("nobody-else", "reader", model)),
    "make a token": ("", lambda client, model, _: client.create_token("admin")),
    "list principals": ("", lambda client, model, _: list(client.principals())),
    "prove the journal": ("", lambda client, model, _: client.verify_journal()),
    "read the whole journal": ("", lambda client, model, _: list(client.events())),
    "set a schema above": ("", lambda client, model, _: client.set_schema("roles", "{}")),
    "set a policy above": ("", lambda client, model, _: client.set_policy("*", "production", RULES)),
    "grant above": ("", lambda client, model, _: client.grant("admin", "reader", "roles")),
}
OTHERWISE = {
    "roll back": "ALIAS_NOT_FOUND",
    "remove an alias": "ALIAS_NOT_FOUND",
    "approve": "WRONG_STATE",
    "delete a model": "MODEL_IN_USE",
}
SHORT = {"r": "reader", "c": "contributor", "a": "approver", "m": "maintainer", "A": "admin"}


@pytest.fixture(scope="module")
def elsewhere(asking: AskingWho, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that none of them has a role on."""
    return pushed(asking.admin(), "roles.there.thing", 2, tmp_path_factory.mktemp("there"))


@pytest.fixture(scope="module")
def people(asking: AskingWho) -> dict[str, wb.Client]:
    """Somebody of each role, below ``roles.here`` and nowhere else."""
    asking.admin().create_principal("nobody-else")
    return {role: asking.somebody((role, "roles.here")) for role in ROLES}


def outcome(deed: Deed, client: wb.Client, model: str, folder: Path) -> str:
    """``done``, or why not."""
    try:
        deed(client, model, folder)
    except WeighbridgeError as error:
        return error.reason
    return "done"


@pytest.mark.long
@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_it_may_and_no_more(
    asking: AskingWho, people: dict[str, wb.Client], elsewhere: str, role: str, tmp_path: Path
) -> None:
    admin, client = asking.admin(), people[role]
    for number, (name, (allowed, deed)) in enumerate(DEEDS.items()):
        model = pushed(admin, f"roles.here.{role}{number}", 2, tmp_path)
        admin.promote(f"{model}:2", "staging")
        may = role in [SHORT[each] for each in allowed.split()]
        found = outcome(deed, client, model, tmp_path / str(number))
        # Whoever may do what cannot be done, as nobody asked for an approval or staging is held, is told that.
        wanted = OTHERWISE.get(name, "done") if may else "PERMISSION_DENIED"
        assert found == wanted, f"{role}: {name}: {found}"
        assert outcome(deed, client, elsewhere, tmp_path / f"{number}b") == "PERMISSION_DENIED", f"{role}: {name}"


def test_a_refusal_says_what_is_missing_where_and_who_grants_it(asking: AskingWho) -> None:
    client = asking.somebody(("reader", "told"), name="told-user")
    with pytest.raises(wb.PermissionDenied) as refused:
        client.promote("told.a.b:1", "production")
    assert refused.value.details == {"actor": "told-user", "role": "maintainer", "scope": "told.a.b@production"}
    assert "weighbridge grant add told-user maintainer told.a.b@production" in refused.value.message
    assert "admin can grant it" in refused.value.message


def test_what_one_may_not_read_is_refused_whether_it_is_there_or_not(asking: AskingWho, tmp_path: Path) -> None:
    pushed(asking.admin(), "hidden.a.b", 1, tmp_path)
    client = asking.somebody(("maintainer", "own"))
    said = set()
    for model in ("hidden.a.b", "hidden.a.c"):
        for call in (client.model, client.resolve, client.version, lambda name: list(client.versions(name))):
            with pytest.raises(wb.PermissionDenied) as refused:
                call(model)
            said.add(refused.value.message.replace(model, "MODEL"))
    assert len(said) == 1
    for parent in ("hidden.a.b:1", "hidden.a.c:1"):
        with pytest.raises(wb.PermissionDenied), client.begin("own.a.b", parent=parent):
            pass


def test_a_prefix_is_whole_segments(asking: AskingWho) -> None:
    client = asking.somebody(("contributor", "seg.ment"))
    assert client.create_model("seg.ment.a").name == "seg.ment.a"
    for name in ("seg.mental.a", "seg.m.a", "seg2.ment.a"):
        with pytest.raises(wb.PermissionDenied):
            client.create_model(name)


# -- a role on an alias ------------------------------------------------------------------------------


def test_a_role_on_production_moves_production_and_nothing_else(asking: AskingWho, tmp_path: Path) -> None:
    admin = asking.admin()
    model = pushed(admin, "moved.a.b", 2, tmp_path)
    client = asking.somebody(("maintainer", "moved@production"))
    assert client.version(f"{model}:1").ref == f"{model}:1", "it reads"
    admin.promote(f"{model}:1", "staging")
    client.promote(f"{model}:1", "production")
    to_production(admin, model, 2)
    assert client.rollback(f"{model}@production", reason="worse").ref == f"{model}:1"
    for deed in (
        lambda: client.promote(f"{model}:2", "staging"),
        lambda: client.promote(f"{model}:1", "archived"),
        lambda: client.set_alias(model, "champion", 1),
        lambda: client.rollback(f"{model}@staging", reason="x"),
        lambda: client.update_version(f"{model}:1", set_tags={"a": 1}),
        lambda: client.set_policy("moved", "production", RULES),
        lambda: client.grant("admin", "reader", "moved"),
        lambda: pushed(client, model, 1, tmp_path),
    ):
        with pytest.raises(wb.PermissionDenied):
            deed()
    assert {event.actor for event in admin.events(resource=f"{model}@production", action="alias.rolled-back")} == {
        client.whoami().actor
    }


def test_a_role_on_a_stage_that_nothing_points_at_takes_nobody_out_of_another(
    asking: AskingWho, tmp_path: Path
) -> None:
    admin = asking.admin()
    model = pushed(admin, "out.a.b", 2, tmp_path)
    to_production(admin, model, 1)
    admin.promote(f"{model}:2", "staging")
    client = asking.somebody(("maintainer", "out@archived"), ("contributor", "out@development"))
    for version, stage in ((1, "archived"), (2, "development")):
        with pytest.raises(wb.PermissionDenied):
            client.promote(f"{model}:{version}", stage)


def test_a_smaller_role_on_production_does_not_move_it(asking: AskingWho, tmp_path: Path) -> None:
    admin = asking.admin()
    model = pushed(admin, "small.a.b", 1, tmp_path)
    admin.promote(f"{model}:1", "staging")
    client = asking.somebody(("contributor", "small"), ("contributor", "small@production"))
    with pytest.raises(wb.PermissionDenied):
        client.promote(f"{model}:1", "production")


def test_a_role_on_an_alias_of_all_names(asking: AskingWho, tmp_path: Path) -> None:
    model = pushed(asking.admin(), "every.a.b", 1, tmp_path)
    client = asking.somebody(("contributor", "*@champion"))
    assert client.set_alias(model, "champion", 1).alias == "champion"
    with pytest.raises(wb.PermissionDenied):
        client.set_alias(model, "other", 1)


def test_a_role_that_is_taken_is_gone_at_once(asking: AskingWho) -> None:
    client = asking.somebody(("contributor", "taken"), name="taken-from")
    client.create_model("taken.a.b")
    asking.admin().revoke_grant("taken-from", "contributor", "taken")
    with pytest.raises(wb.PermissionDenied):
        client.model("taken.a.b")
    with pytest.raises(wb.PrincipalNotFound, match="has not the role"):
        asking.admin().revoke_grant("taken-from", "contributor", "taken")


def test_an_upload_goes_on_only_while_its_owner_may(asking: AskingWho, tmp_path: Path) -> None:
    client = asking.somebody(("contributor", "going"), name="going-user")
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"x" * 1000)
    with pytest.raises(wb.PermissionDenied), client.begin("going.a.b", capture=False) as version:
        version.add(weights)
        asking.admin().revoke_grant("going-user", "contributor", "going")
    assert list(asking.admin().versions("going.a.b")) == []


@pytest.mark.long
def test_a_watch_ends_when_its_token_does(asking: AskingWho, tmp_path: Path) -> None:
    admin = asking.admin()
    model = pushed(admin, "watched.a.b", 2, tmp_path)
    admin.set_alias(model, "champion", 1)
    new = asking.token(("reader", "watched"))
    ended: list[WeighbridgeError] = []
    seen = threading.Event()

    def watch() -> None:
        try:
            for _ in asking.connect(new.text).watch(model):
                seen.set()
        except WeighbridgeError as error:
            ended.append(error)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert seen.wait(30)
    admin.revoke_token(new.token.token_id)
    for turn in range(10_000):  # each a message for the watcher, until it has been looked at again
        admin.set_alias(model, "champion", 2 - turn % 2)
        watcher.join(0.05)
        if not watcher.is_alive():
            break
    assert [type(error) for error in ended] == [wb.Unauthenticated]
