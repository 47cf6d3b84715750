"""Mistakes that ``mypy --strict`` must refuse: each line that says so, with that code, and no other."""

from __future__ import annotations

import weighbridge as wb

client = wb.connect(8420)  # refused: arg-type
wb.connect(host="127.0.0.1")  # refused: call-arg
client.pull(7)  # refused: arg-type
client.push("a.b.c", 3)  # refused: arg-type
client.push("a.b.c", "x", metrics={"auc": "high"})  # refused: dict-item
client.push("a.b.c", "x", param={"lr": 1})  # refused: call-arg
client.load("a.b.c", framework="jax")  # refused: call-overload
client.load("a.b.c", tensor=["layers.3.*"])  # refused: call-overload
client.load("a.b.c", rows={"embedding": 1024})  # refused: dict-item
client.load("a.b.c")["embedding"].shap  # refused: attr-defined
client.open("a.b.c")  # refused: call-arg
client.open("a.b.c", "x").read("all")  # refused: arg-type
client.promote("a.b.c:1")  # refused: call-arg
client.rollback("a.b.c@production")  # refused: call-arg
client.set_alias("a.b.c", "champion", "7")  # refused: arg-type
client.demote("a.b.c:1")  # refused: attr-defined
client.metrics("a.b.c")["loss"].step  # refused: attr-defined
number: int = client.resolve("a.b.c").ref  # refused: assignment
client.version("a.b.c").record.description  # refused: union-attr
with client.begin("a.b.c", tags={"x": [1]}) as version:  # refused: dict-item
    version.log_metric("loss", "0.3")  # refused: arg-type
    version.log_params(lr=None)  # refused: arg-type
wb.Record().description = "frozen"  # refused: misc
wb.Parent("a.b.c:1", relation="fine-tuned")  # refused: arg-type
client.delete_model("a.b.c")  # refused: call-arg
client.update_model("a.b.c", name="a.b.d")  # refused: misc
client.model("a.b.c").card.upper()  # refused: union-attr
client.events(since="2026-10-01")  # refused: arg-type
client.verify_journal(7)  # refused: arg-type
for model in client.models():
    model.nme  # refused: attr-defined
