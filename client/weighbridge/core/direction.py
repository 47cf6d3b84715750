"""Which way a metric is better, from its name.

The rule reads a name as words: ``val/Cross_Entropy``, ``valCrossEntropy`` and ``val-cross-entropy`` are the same. What
stands behind ``at`` or ``@`` is a condition and does not count (``recall@fpr=0.01``). ``per`` before a unit of time,
energy or money makes a rate, of which more is better (``tokens_per_second``, ``tokens/s``), unless it is a rate of
what is bad or costs (``errors_per_second``, ``usd_per_hour``). Otherwise the last word that is known decides:
``auc_loss`` is a loss, ``loss_auc`` an AUC. Words that keep books (``epoch``, ``tokens``) decide only where no other is
known: ``loss_epoch`` is a loss, ``epoch`` is neither better nor worse. Of a metric without a known word more is better.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from enum import Enum, auto

from weighbridge.core.errors import InvalidRequest, Violation


class Direction(Enum):
    """Which way a metric is better."""

    LOWER = auto()
    HIGHER = auto()
    NEITHER = auto()
    """It keeps books: it says how far or in what way a training went, not how good the model is."""


_WRONG = frozenset(
    """
    loss losses logloss mlogloss error errors merror err crossentropy xent nll nloglik perplexity ppl bpc bpb mse rmse
    rmsle msle mae medae mape smape wmape mase mad wer cer mer wil ser ter der jer eer fpr fnr far frr fdr brier crps
    pinball deviance poisson huber mphe logcosh l1 l2 aic aicc bic ece mce hinge hamming fid kid lpips kl kld jsd
    divergence distance wasserstein chamfer hausdorff hd hd95 asd assd ravd bouldin regret bits
    mistakes miss misses fail fails failed failure failures false wrong incorrect invalid misclassified
    misclassification misclassifications violation violations collision collisions crash crashes nan nans
    toxicity hallucination hallucinations jailbreak jailbreaks attacksuccess discrepancy disparity gap drop drift
    degradation forgetting overfitting leakage idsw switches
    """.split()
)
"""Less of it is better, as it says how wrong a model is."""

_TIME = frozenset(
    """
    hour hours hr hrs minute minutes min mins second seconds sec secs s millisecond milliseconds millis msec ms
    microsecond microseconds us nanosecond nanoseconds ns
    """.split()
)
_SPENT = frozenset(
    """
    kwh wh joule joules energy watt watts power gco2e gco2 co2 co2e co2eq emission emissions carbon
    cost costs price usd eur dollar dollars euro euros timeouts retries oom preemptions
    """.split()
)
_TAKEN = frozenset(
    """
    latency ttft tpot itl rtf e2el duration time runtime walltime delay lag memory mem ram rss vram
    bytes kb mb gb kib mib gib size disk
    """.split()
)
_COST = (_TIME - {"min", "hr"}) | _SPENT | _TAKEN
"""Less of it is better, as it says what a model takes."""

_RIGHT = frozenset(
    """
    accuracy accuracies acc auc aucpr auroc roc auprc ap aps map maps f1 fbeta precision recall sensitivity
    specificity tpr tnr ppv npv true r2 bleu chrf comet bleurt rouge meteor ndcg mrr iou miou dice nsd psnr ssim
    reward rewards kappa mcc gini ks correlation pearson spearman coverage similarity success likelihood loglikelihood
    elbo
    """.split()
)
"""More of it is better: a word here only says that one before it does not decide."""
_RATE = frozenset("throughput goodput qps rps tps fps rtfx".split())
"""More of it is better, as it says how much a model does in a time."""

_SETTING = frozenset(
    """
    learningrate dropoutrate batchsize buffersize contextsize datasetsize hiddensize imagesize populationsize
    samplesize stepsize vocabsize windowsize worldsize timesteps timestep lossscale clipfraction cliprange l1norm l2norm
    stderr std stddev
    """.split()
)
"""Neither, whatever stands before it."""
_BOOKS = frozenset(
    """
    lr lrs epoch epochs step steps iteration iterations iter iters it episode episodes batch batches sample samples
    token tokens example examples instance instances row rows image images seen norm norms grad grads gradient
    gradients weight weights bias biases decay momentum flos flop flops gflops tflops macs params parameters support
    len length lengths entropy temperature threshold scale usage util utilization request requests exploration epsilon
    dropout timestamp eta progress seed fold classes features estimators trees leaves depth round rounds layers
    workers gpus nodes
    """.split()
)
"""Neither, where no other word is known."""
_COUNTED = frozenset("epochs steps iterations iters episodes batches samples tokens examples timesteps".split())
"""Of a group of costs, such as ``time/iterations``, what is no cost."""

_KNOWN = _WRONG | _COST | _RIGHT | _RATE | _SETTING
_LOWER = _WRONG | _COST
_COMPOUNDS = (
    frozenset("crossentropy logcosh loglikelihood attacksuccess aps maps f1 r2 d2 l1 l2 hd95".split()) | _SETTING
)
"""Known together only, and often written apart."""
_NEGATED = frozenset("neg negative".split())
_SKILL = frozenset("d2 skill".split())
"""With ``score`` they make of an error how much of it is gone: ``d2_absolute_error_score``."""

_PER = re.compile(r"/(?=(s|sec)(/(gpu|tpu|chip|device|core|node|worker|rank|user))?$)")
_PART = re.compile(r"[^\W_]+|@")
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^A-Za-z0-9]+")


def words(name: str) -> list[str]:
    """The words of a name, in lower case."""
    found: list[str] = []
    for part in _PART.findall(_PER.sub(" per ", name)):
        known = part.lower() in _KNOWN or part.lower() in _BOOKS  # before it is taken apart: gCO2e, kWh
        for hump in [part] if known else _HUMP.findall(part):
            if found and found[-1] + hump.lower() in _COMPOUNDS:
                found[-1] += hump.lower()
            else:
                found.append(hump.lower())
    return found


def direction(name: str) -> Direction:
    """Which way a metric is better, by the rule above."""
    word, turned = _deciding(name)
    if word in _SETTING or word in _BOOKS:
        return Direction.NEITHER
    return Direction.LOWER if (word in _LOWER) is not turned else Direction.HIGHER


def tells_cost(name: str) -> bool:
    """Whether a metric says what a model takes (time, memory, energy, money), not how good it is."""
    word, _ = _deciding(name)
    return word in _COST | _RATE


def _deciding(name: str) -> tuple[str, bool]:
    """The word that decides, and whether it is turned round: of a negated error more is better."""
    said = _without_condition(words(name))
    if said[-1:] == ["per"]:  # the rate of phonemes that are wrong
        return "err", False
    if said[-1:] == ["score"] and not _SKILL.isdisjoint(said):
        return "r2", False
    if rate := _rate(said):
        return rate, False
    place = next((place for place in reversed(range(len(said))) if said[place] in _KNOWN), None)
    if place is None:
        return next((word for word in reversed(said) if word in _BOOKS), ""), False
    group, _, last = name.rpartition("/")
    if group and said[place] in _COST and not _COUNTED.isdisjoint(words(last)) and _KNOWN.isdisjoint(words(last)):
        return "steps", False
    return said[place], _turned(said[: place + 1])


def _without_condition(said: list[str]) -> list[str]:
    return next((said[:place] for place, word in enumerate(said) if place and word in ("at", "@")), said)


def _rate(said: Sequence[str]) -> str:
    """What a rate is one of; empty where it is none."""
    for place in range(len(said) - 1):
        if said[place] != "per" or said[place + 1] not in _TIME | _SPENT:
            continue
        what = next((word for word in reversed(said[:place]) if word in _KNOWN), "")
        # A time per time is a time; memory per time is how fast it is moved.
        bad = what in _WRONG | _SPENT or what in _TIME - {"min", "hr"} or what in ("time", "latency")
        return what if bad else "throughput"
    return ""


def _turned(said: Sequence[str]) -> bool:
    """Whether ``neg`` before the last word turns it: of an error, as scikit-learn does, and of a likelihood.

    ``negative`` is also a kind of sample: ``false_negatives``, ``neg_f1`` and ``neg_loss`` are what they are.
    """
    *before, last = said
    for place, word in enumerate(before):
        if word in _NEGATED and before[place - 1 : place] not in (["false"], ["true"]):
            if last in ("likelihood", "loglikelihood", "elbo"):
                return True
            return last in _WRONG and (place < len(before) - 1 or last not in ("loss", "losses", "error", "err"))
    return False


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
