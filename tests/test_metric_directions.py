"""Which way the metrics of real programs are better, by the names that these programs give them."""

from __future__ import annotations

import pytest

import weighbridge as wb
from comparison_fixtures import beside, made_version
from weighbridge.core.direction import Direction, direction

NAMES = {
    "Keras": (
        """
        loss val_loss mean_absolute_error val_mean_squared_error root_mean_squared_error mean_absolute_percentage_error
        sparse_categorical_crossentropy binary_crossentropy kl_divergence kullback_leibler_divergence poisson hinge
        squared_hinge logcosh log_cosh huber false_positives val_false_negatives
        """,
        """
        accuracy val_accuracy binary_accuracy sparse_top_k_categorical_accuracy auc precision recall true_positives
        true_negatives cosine_similarity mean_io_u one_hot_mean_io_u sensitivity_at_specificity r2_score f1_score
        """,
        "lr learning_rate",
    ),
    "PyTorch Lightning": (
        "train_loss_step train_loss_epoch val_loss_epoch val/loss_epoch test_loss/dataloader_idx_0",
        "val_acc val_acc_epoch train_acc_step valid/MulticlassF1Score val_BinaryAUROC",
        "epoch step lr-AdamW lr-SGD/pg1 lr-AdamW-momentum trainer/global_step grad_2.0_norm_total batch_size",
    ),
    "Hugging Face Trainer": (
        "loss eval/loss eval_loss train_loss eval_runtime train_runtime eval_model_preparation_time eval_wer",
        """
        train_samples_per_second train_steps_per_second eval_samples_per_second eval_steps_per_second eval_accuracy
        eval/f1 eval_bleu eval_rougeL eval_mean_token_accuracy rewards/accuracies rewards/margins
        """,
        """
        learning_rate train/learning_rate epoch train/epoch global_step train/global_step grad_norm train/grad_norm
        total_flos num_input_tokens_seen num_tokens train_samples eval_samples eval_gen_len weight_norm samples_seen
        tokens_seen entropy loss_scale
        """,
    ),
    "scikit-learn": (
        """
        log_loss brier_score_loss zero_one_loss hamming_loss max_error mean_absolute_error mean_squared_log_error
        median_absolute_error mean_pinball_loss mean_poisson_deviance coverage_error label_ranking_loss
        davies_bouldin_score fit_time score_time mean_fit_time det_fnr misclassified
        """,
        """
        accuracy balanced_accuracy average_precision roc_auc f1_macro jaccard matthews_corrcoef r2 explained_variance
        neg_mean_squared_error neg_root_mean_squared_error neg_log_loss neg_brier_score neg_max_error test_score
        d2_absolute_error_score d2_pinball_score d2_tweedie_score silhouette_score adjusted_rand_score
        top_k_accuracy test_neg_mean_absolute_error weighted_avg/f1-score
        """,
        "weighted_avg/support std_test_score n_features",
    ),
    "XGBoost, LightGBM, CatBoost": (
        """
        validation_0-logloss train-mlogloss eval-merror validation_1-rmse test-mape mphe poisson-nloglik
        gamma-deviance tweedie-nloglik@1.5 valid_0-l2 valid_0-l1 binary_logloss multi_error quantile_loss Logloss RMSE
        """,
        "validation_0-auc aucpr ndcg@10 map@5 pre@3 auc_mu Accuracy interval-regression-accuracy",
        "best_iteration n_estimators",
    ),
    "ultralytics": (
        "train/box_loss val/box_loss val/cls_loss val/dfl_loss model/speed_PyTorch(ms)",
        "metrics/mAP50-95(B) metrics/mAP50(B) metrics/precision(B) metrics/recall(M) fitness",
        "lr/pg0 lr/pg2 model/GFLOPs model/parameters",
    ),
    "lm-eval": (
        "word_perplexity,none byte_perplexity,none bits_per_byte,none brier_score,none",
        "acc,none acc_norm,none exact_match,strict-match pass@1,create_test mc2 f1 mcc,none likelihood_diff",
        "acc_stderr,none acc_norm_stderr,none exact_match_stderr,flexible-extract",
    ),
    "object detection and tracking": (
        "loss_rpn_bbox loss_cls id_switches num_misses num_false_positives log_average_miss_rate FN_error",
        "bbox_mAP coco/bbox_mAP_50 AP75 AR@100 segm_mAP_s MOTA MOTP IDF1 HOTA",
        "data_samples",
    ),
    "speech": (
        "wer cer eval/WER mer wil der val_per phoneme_error_rate rtf EER",
        "wip stoi pesq rtfx",
        "num_utterance_samples",
    ),
    "translation and text": (
        "ter val_ppl perplexity nll negative_log_likelihood neg_log_likelihood hallucination_rate",
        "bleu sacrebleu comet chrf chrf++ chrF bleurt meteor rouge1 log_likelihood loglikelihood",
        "answer_length",
    ),
    "segmentation": ("hd95 HD95 val/hd95_liver assd hausdorff_distance", "dice mean_dice DiceCoefficient mIoU nsd", ""),
    "reinforcement learning": (
        "train/value_loss regret td_error constraint_violations collision_rate time/time_elapsed train/approx_kl",
        "episode_reward rollout/ep_rew_mean eval/mean_reward success_rate train/explained_variance time/fps",
        """
        rollout/ep_len_mean rollout/exploration_rate time/iterations time/total_timesteps time/episodes train/std
        train/learning_rate train/clip_fraction train/clip_range episodes
        """,
    ),
    "serving": (
        """
        ttft mean_ttft_ms p99_ttft_ms tpot median_tpot_ms itl e2e_latency latency_p99 errors_per_second failed_requests
        num_preemptions usd_per_hour cost_per_hour cost_per_1k_tokens kwh_per_1k_tokens peak_vram_gb time_per_100_steps
        """,
        """
        request_throughput output_throughput goodput tokens_per_second tokens/s tok/sec tokens/sec/gpu
        requests_per_minute tokens_per_joule tokens_per_dollar bytes_per_second it/s prefix_cache_hit_rate
        """,
        "num_requests_running gpu_utilization kv_cache_usage_perc prompt_tokens",
    ),
    "what goes wrong": (
        """
        false_positive_rate failure_rate false_negative_rate false_alarm_rate miss_rate false_discovery_rate xent crps
        pinball violations fail_count misclassification_rate accuracy_drop attack_success_rate aic bic jailbreak_rate
        generalization_gap forgetting fpr fnr num_nans demographic_disparity neg_loss
        """,
        "true_positive_rate true_negative_rate robust_accuracy neg_f1 negative_accuracy neg_rmse elbo crps_skill_score",
        "iteration seed best_threshold timestamp momentum weight_decay vocab_size batchSize gradNorm",
    ),
}
CASES = [
    (program, name, way)
    for program, lists in NAMES.items()
    for way, names in zip((Direction.LOWER, Direction.HIGHER, Direction.NEITHER), lists, strict=True)
    for name in names.split()
]


@pytest.mark.parametrize(("program", "name", "way"), CASES)
def test_names_of_real_programs(program: str, name: str, way: Direction) -> None:
    assert direction(name) is way


def test_books_are_neither_better_nor_worse_and_suspect_nothing() -> None:
    first, second = {"epoch": 9.0, "learning_rate": 1.0, "loss": 0.3}, {"epoch": 3.0, "learning_rate": 0.1, "loss": 0.4}
    versions = [made_version(1, metrics=first), made_version(2, metrics=second)]
    comparison = beside(versions)
    assert [(one.name, one.lower_is_better, one.better[1]) for one in comparison.metrics] == [
        ("epoch", None, None),
        ("learning_rate", None, None),
        ("loss", True, False),
    ]
    assert [one.differences[1] for one in comparison.metrics] == [-6.0, -0.9, pytest.approx(0.1)]
    assert [suspects.metrics for suspects in comparison.suspects] == [("loss",)]
    asked = beside(versions, lower=["epoch"], higher=["learning_rate"])
    assert [(one.lower_is_better, one.better[1]) for one in asked.metrics] == [
        (True, True),
        (False, False),
        (True, False),
    ]
    assert isinstance(asked, wb.Comparison)
