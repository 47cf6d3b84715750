"""Which way a metric is better, from its name.

The rule reads a name as words: ``val/Cross_Entropy``, ``valCrossEntropy`` and ``val-cross-entropy`` are the same. What
stands behind ``at`` or ``@`` is a condition and does not count (``recall@fpr=0.01``). ``per`` before a unit of time
makes a rate, of which more is better (``tokens_per_second``, ``tokens/s``). Otherwise the last word that is known
decides: ``auc_loss`` is a loss, ``loss_auc`` an AUC. Of a metric without a known word more is better.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import pairwise

from weighbridge.core.errors import InvalidRequest, Violation

_WRONG = frozenset(
    """
    loss losses logloss error errors err crossentropy nll perplexity ppl bpc bpb mse rmse rmsle msle mae medae mape
    smape wmape mase mad wer cer ter eer fpr fnr far frr fdr brier ece mce hinge hamming fid kid lpips kl kld jsd
    divergence distance wasserstein chamfer hausdorff regret bits mistakes misses failures toxicity hallucination
    hallucinations discrepancy
    """.split()
)
"""Less of it is better, as it says how wrong a model is."""

_TIME = frozenset(
    """
    hour hours hr hrs minute minutes min mins second seconds sec secs s millisecond milliseconds millis msec ms
    microsecond microseconds us nanosecond nanoseconds ns
    """.split()
)
_COST = (_TIME - {"min", "hr"}) | frozenset(
    """
    latency duration time runtime walltime delay lag memory mem ram rss vram bytes kb mb gb kib mib gib size disk
    kwh wh joule joules energy watt watts power gco2e gco2 co2 co2e co2eq emission emissions carbon
    cost costs price usd eur dollars euros timeouts retries oom
    """.split()
)
"""Less of it is better, as it says what a model takes."""

_RIGHT = frozenset(
    """
    accuracy acc auc auroc roc auprc ap map f1 fbeta precision recall sensitivity specificity tpr tnr ppv npv r2 bleu
    rouge meteor ndcg mrr iou miou dice psnr ssim reward kappa mcc gini ks correlation pearson spearman coverage
    similarity
    """.split()
)
"""More of it is better: a word here only says that one before it does not decide."""
_RATE = frozenset("throughput qps rps tps fps".split())
"""More of it is better, as it says how much a model does in a time."""

_KNOWN = _WRONG | _COST | _RIGHT | _RATE
_COMPOUNDS = frozenset({"crossentropy", "f1", "r2"})
"""Known together only, and often written apart."""

_PER = re.compile(r"/(?=(s|sec)$)")
_PART = re.compile(r"[^\W_]+|@")
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^A-Za-z0-9]+")


def words(name: str) -> list[str]:
    """The words of a name, in lower case."""
    found: list[str] = []
    for part in _PART.findall(_PER.sub(" per ", name)):
        if part.lower() in _KNOWN:  # before it is taken apart: gCO2e, kWh
            found.append(part.lower())
            continue
        for hump in _HUMP.findall(part):
            if found and found[-1] + hump.lower() in _COMPOUNDS:
                found[-1] += hump.lower()
            else:
                found.append(hump.lower())
    return found


def less_is_better(name: str) -> bool:
    """Whether less of a metric is better, by the rule above."""
    return _deciding(name) in _WRONG | _COST


def tells_cost(name: str) -> bool:
    """Whether a metric says what a model takes (time, memory, energy, money), not how good it is."""
    return _deciding(name) in _COST | _RATE


def _deciding(name: str) -> str:
    said = words(name)
    for place, word in enumerate(said):
        if word in ("at", "@") and place:
            said = said[:place]
            break
    if any(word == "per" and unit in _TIME for word, unit in pairwise(said)):
        return "throughput"
    return next((word for word in reversed(said) if word in _KNOWN), "")


def check_directions(lower: Collection[str], higher: Collection[str]) -> None:
    """Checks metrics that a caller named as better lower, and as better higher.

    Raises:
        InvalidRequest: a metric is among both; one violation each.
    """
    both = sorted(set(lower) & set(higher))
    if both:
        raise InvalidRequest(
            "metrics are named both as better lower and as better higher; name each once",
            violations=[Violation(f"lower_is_better.{name}", "is in higher_is_better too") for name in both],
        )
