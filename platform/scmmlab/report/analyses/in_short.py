"""What the study found, in a few sentences made from its numbers."""

from __future__ import annotations

import numpy as np

from scmmlab.evaluation import Verdict, bootstrap_interval, mean_and_sd, smallest_p, wilcoxon_p
from scmmlab.report.analysis import Analysis, NotReady
from scmmlab.report.card import Bullets, Card, Text
from scmmlab.report.comparisons import Comparisons, compare, generator
from scmmlab.report.epochs import last_and_best, test_by_epoch
from scmmlab.report.inputs import StudyResults
from scmmlab.report.leaks import leak_pairs
from scmmlab.report.measures import MEASURES, chance_level, listed, p_equals, p_value, plural
from scmmlab.report.values import paired_subject_means, subject_means, test_windows

_ACCURACY = MEASURES["accuracy"]


class InShort(Analysis):
    """The reference against chance, the verdicts, and what the released protocol adds."""

    slug = "in-short"
    title = "In short"

    def compute(self, results: StudyResults) -> Card:
        """One sentence each, by transfer."""
        comparisons = compare(results)
        sentences = []
        for transfer in results.ablation.transfers:
            sentences += _reference(results, transfer.name)
            sentences += _verdicts(results, comparisons, transfer.name)
            sentences += _other_methods(results, comparisons, transfer.name)
            sentences += _leaks(results, transfer.name)
        if not sentences:
            raise NotReady("No cell is finished, so there is nothing to say yet.")
        return self.card(Bullets(tuple(sentences)), _limits(comparisons, results.ablation.statistics.alpha))


def _reference(results: StudyResults, transfer: str) -> list[str]:
    statistics = results.ablation.statistics
    measure = MEASURES[statistics.metric]
    values = subject_means(results.finished(statistics.reference, transfer), measure.name)
    windows = test_windows(results, transfer)
    if not values or windows is None:
        return []
    mean, sd = mean_and_sd(list(values.values()))
    chance = chance_level(measure.name, windows)
    above = np.array(list(values.values())) - chance
    rng = generator(results.ablation.name, measure.name, transfer, "chance")
    low, high = bootstrap_interval(above, statistics.alpha, statistics.bootstrap_samples, rng)
    p = wilcoxon_p(above)
    if p < statistics.alpha and low > 0:
        says = "above chance"
    elif p < statistics.alpha and high < 0:
        says = "below chance"
    else:
        says = "not shown to differ from chance"
    article = "an" if measure.label[0] in "aeiou" else "a"
    return [
        f"`{transfer}`: `{statistics.reference}` reaches {article} {measure.label} of {measure.mean_sd(mean, sd)}"
        f"{measure.suffix} (mean ± SD over {plural(len(values), 'subject')}; chance {measure.value(chance)}), {says}: "
        f"{measure.difference(mean - chance)}{measure.difference_suffix}, {_level(statistics.alpha)} interval "
        f"{measure.interval(low, high)}, {p_equals(p)}."
    ]


def _verdicts(results: StudyResults, comparisons: Comparisons, transfer: str) -> list[str]:
    made = {variant: found for (variant, where), found in comparisons.made.items() if where == transfer}
    if not made:
        return []
    reference = results.ablation.statistics.reference
    parts = []
    for verdict in (Verdict.BETTER, Verdict.WORSE):
        names = [f"`{variant}`" for variant, found in made.items() if found.verdict is verdict]
        if names:
            parts.append(f"{len(names)} {'is' if len(names) == 1 else 'are'} {verdict} ({listed(names)})")
    inconclusive = sum(found.verdict is Verdict.INCONCLUSIVE for found in made.values())
    if inconclusive:
        parts.append(f"{inconclusive} {'is' if inconclusive == 1 else 'are'} inconclusive")
    compared = f"`{transfer}`: of {plural(len(made), 'variant')} compared with `{reference}`"
    return [f"{compared}, {listed(parts)}."]


def _other_methods(results: StudyResults, comparisons: Comparisons, transfer: str) -> list[str]:
    """How another method does beside the reference: a floor that it does not pass is the first thing to know."""
    statistics = results.ablation.statistics
    measure, experiments = MEASURES[statistics.metric], results.experiments()
    sentences = []
    for (variant, where), found in comparisons.made.items():
        name = experiments[variant].method
        if where != transfer or name == experiments[statistics.reference].method:
            continue
        pair = paired_subject_means(
            results.finished(statistics.reference, transfer), results.finished(variant, transfer), measure.name
        )
        shared = sorted(set(pair[0]) & set(pair[1]))
        reached = [measure.value(float(np.mean([side[subject] for subject in shared]))) for side in pair]
        difference = f"{measure.difference(found.difference)}{measure.difference_suffix}"
        interval = f"{_level(statistics.alpha)} interval {measure.interval(found.low, found.high)}"
        says = "not shown to differ" if found.verdict is Verdict.INCONCLUSIVE else str(found.verdict)
        sentences.append(
            f"`{transfer}`: `{variant}`, which is another method (`{name}`), reaches {reached[1]}{measure.suffix} "
            f"where `{statistics.reference}` reaches {reached[0]}{measure.suffix}: {difference}, {interval}, {says}."
        )
    return sentences


def _leaks(results: StudyResults, transfer: str) -> list[str]:
    measure = MEASURES[results.ablation.statistics.metric]
    sentences = []
    for pair in leak_pairs(results):
        honest, released = paired_subject_means(
            results.finished(pair.leak_free, transfer), results.finished(pair.released, transfer), measure.name
        )
        shared = sorted(set(honest) & set(released))
        if shared:
            values = [float(np.mean([side[subject] for subject in shared])) for side in (honest, released)]
            gap = f"{measure.difference(values[1] - values[0])}{measure.difference_suffix}"
            sentences.append(
                f"`{transfer}`: judged as `{pair.released}`, the model and data of `{pair.leak_free}` give "
                f"{measure.value(values[1])}{measure.suffix} instead of {measure.value(values[0])}{measure.suffix}: "
                f"{gap} that are the protocol's and not the method's{_chosen_epoch(results, pair.released, transfer)}."
            )
    return sentences


def _chosen_epoch(results: StudyResults, released: str, transfer: str) -> str:
    """What the choice of the best test epoch adds by itself, where the records tell."""
    folds = test_by_epoch(results.finished(released, transfer))
    if not folds:
        return ""
    last, best = last_and_best(folds)
    added = f"{_ACCURACY.difference(float((best - last).mean()))}{_ACCURACY.difference_suffix}"
    return f" (choosing each fold's best test epoch instead of the last adds {added} of accuracy)"


def _limits(comparisons: Comparisons, alpha: float) -> Text | None:
    """Where so few subjects and so many comparisons leave no room for a verdict, say so."""
    if not comparisons.made:
        return None
    most = max(found.subjects for found in comparisons.made.values())
    least = smallest_p(most, len(comparisons.made))
    if least < alpha:
        return None
    return Text(
        f"With {plural(most, 'subject')} and {plural(len(comparisons.made), 'comparison')}, the least p that Holm's "
        f"correction leaves possible is {p_value(least)}: no comparison could have been anything but inconclusive."
    )


def _level(alpha: float) -> str:
    return f"{100 * (1 - alpha):.3g} %"
