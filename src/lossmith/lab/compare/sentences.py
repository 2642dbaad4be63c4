"""The verdict in words: one table of sentences, in English and Chinese.

Names of losses and numbers are the same in both. A sentence is only ever made from the facts of a
`Decision`, or of the hard rows, so whatever it says can be read from the record, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor, log10

from lossmith.lab.compare.metrics import METRICS
from lossmith.lab.compare.settings import Language
from lossmith.lab.compare.summary import Outcome
from lossmith.lab.compare.verdict import Beside, Decision, decide

# {Pick} begins a sentence, {pick} stands inside one.
TABLE: Mapping[str, Mapping[Language, str]] = {
    "one": {
        "en": "{Pick} is best: {value}, {lead} ahead of {rest}. Every other loss was put out "
        "after {out} (error allowed: {error}).",
        "zh": "{pick} 最好:{value},比{rest}好 {lead}。其余损失在{out}后被排除"
        "(允许的错误率:{error})。",
    },
    "one of the baseline": {
        "en": "Stay with {pick}, the baseline: it is best with {value}, {lead} ahead of {rest}. "
        "Every other loss was put out after {out} (error allowed: {error}).",
        "zh": "保留基准 {pick}:它最好,{value},比{rest}好 {lead}。其余损失在{out}后被排除"
        "(允许的错误率:{error})。",
    },
    "switch": {
        "en": "Leave {baseline}: {inside} are better by {lead}. Of these take {pick}, which is at "
        "most {bound} behind the best.",
        "zh": "不要再用 {baseline}:{inside}比它好 {lead}。其中选 {pick},它最多比最好的差 {bound}。",
    },
    "stay": {
        "en": "Stay with {pick}: no other loss is more than {bound} ahead of it.",
        "zh": "保留 {pick}:没有别的损失比它好 {bound} 以上。",
    },
    "pick": {
        "en": "Take {pick}: no other loss is more than {bound} ahead of it.",
        "zh": "选 {pick}:没有别的损失比它好 {bound} 以上。",
    },
    "rows": {
        "en": "{rows} rows cannot tell these losses, however often they are trained: the best mean "
        "leads by {gap}, and less than {visible} stays hidden. {Pick} is at most {bound} behind "
        "the best; {needed}.",
        "zh": "无论训练多少次,{rows} 行数据都分不出这些损失:均值最好的只领先 {gap},"
        "小于 {visible} 的差别看不出来。{pick} 最多比最好的差 {bound};{needed}。",
    },
    "open": {
        "en": "Not decided after {repeats}: the best mean leads by {gap}. {Pick} is at most "
        "{bound} behind the best; {needed}.",
        "zh": "{repeats}后仍未分出:均值最好的领先 {gap}。{pick} 最多比最好的差 {bound};{needed}。",
    },
    "untested": {
        "en": "Not tested: so few trainings of each loss do not show what is luck. It takes at "
        "least {needed}.",
        "zh": "没有检验:每个损失的训练次数太少,看不出运气有多大。至少需要{needed}。",
    },
    "alone": {
        "en": "{Pick} is the only loss that finished, with {value}.",
        "zh": "只有 {pick} 完成了训练:{value}。",
    },
    "alone by choice": {
        "en": "Only the baseline, {pick}, was run: {value}.",
        "zh": "只运行了基准 {pick}:{value}。",
    },
    "none": {
        "en": "Every loss diverged under this condition. A smaller learning rate may help.",
        "zh": "在这种条件下所有损失都发散了。可以试试更小的学习率。",
    },
    # Other metrics: one more sentence.
    "agrees": {
        "en": "Against {other}, {items} say the same.",
        "zh": "与 {other} 相比,{items}也这样说。",
    },
    "agrees alone": {
        "en": "Against {other}, {items} says the same.",
        "zh": "与 {other} 相比,{items}也这样说。",
    },
    "tells": {
        "en": "{Headline} cannot tell them apart; {metric} can: {values}.",
        "zh": "{headline}分不出它们,{metric}可以:{values}。",
    },
    "against": {
        "en": "By {metric}, {other} is better than {pick}: {values}.",
        "zh": "但按{metric},{other} 比 {pick} 好:{values}。",
    },
    "no probabilities": {
        "en": "{Pick} gives no probabilities; where they are needed, take {other}, with {value}.",
        "zh": "{pick} 不给出概率;需要概率时选 {other},{value}。",
    },
    # Rows that every loss gets wrong.
    "hard labels": {
        "en": "Look at the labels of these rows: {count} of them are wrong under every loss in at "
        "least {share} of trainings ({rows}).",
        "zh": "请看看这些行的标签:其中 {count} 行在每种损失下都至少在 {share} 的训练中判错"
        "({rows})。",
    },
    "hard targets": {
        "en": "Look at the targets of these rows: {count} of them are far off under every loss in "
        "at least {share} of trainings ({rows}).",
        "zh": "请看看这些行的目标值:其中 {count} 行在每种损失下都至少在 {share} 的训练中偏离很远"
        "({rows})。",
    },
    # Parts of sentences.
    "item": {"en": "{metric} ({one} against {two})", "zh": "{metric}({one} 对 {two})"},
    "others": {"en": "the others", "zh": "其余的"},
    "rows needed": {"en": "about {count} rows would decide", "zh": "大约 {count} 行可以分出"},
    "repeats needed": {
        "en": "about {count} repeats would decide",
        "zh": "大约重复 {count} 次可以分出",
    },
    "too many rows": {
        "en": "no number of rows that is worth naming would decide",
        "zh": "要分出它们,需要的行数多到不值一提",
    },
    "too many repeats": {
        "en": "no number of repeats that is worth naming would decide",
        "zh": "要分出它们,需要的重复次数多到不值一提",
    },
    "repeats": {"en": "{count} repeats", "zh": "重复 {count} 次"},
    "repeat": {"en": "1 repeat", "zh": "重复 1 次"},
    "to": {"en": "{low} to {high}", "zh": "{low} 到 {high}"},
    "points": {"en": "{size} points", "zh": "{size} 个百分点"},
    "nats": {"en": "{size} nats", "zh": "{size} nats"},
    "target": {"en": "{size}", "zh": "{size}"},
    "share": {"en": "{size} % {metric}", "zh": "{metric} {size} %"},
    "level": {"en": "{metric} {size}", "zh": "{metric} {size}"},
    "comma": {"en": ", ", "zh": "、"},
    "and": {"en": " and ", "zh": " 和 "},
    "stop": {"en": " ", "zh": ""},
}

METRIC_NAMES_ZH: Mapping[str, str] = {
    "accuracy": "准确率",
    "balanced_accuracy": "平衡准确率",
    "macro_f1": "宏平均 F1",
    "worst_recall": "最差类召回率",
    "rare_recall": "最少类召回率",
    "auc": "AUC",
    "average_precision": "平均精度",
    "log_loss": "对数损失",
    "brier": "Brier 分数",
    "calibration_error": "校准误差",
    "mae": "MAE",
    "rmse": "RMSE",
    "median_error": "误差中位数",
    "p95_error": "误差的 95 % 分位数",
    "pinball": "分位数损失",
    "asymmetric_rmse": "非对称 RMSE",
}


def verdict(outcome: Outcome, language: Language = "en") -> str:
    """At most three sentences that a person can act on."""
    return Words(decide(outcome), outcome.names, language).verdict()


class Words:
    """One decision in one language. `names`: what each spec is called inside a sentence."""

    def __init__(self, decision: Decision, names: Mapping[str, str], language: Language) -> None:
        self.d, self.names, self.language = decision, names, language

    def verdict(self) -> str:
        """Who is to be taken; then what other metrics say."""
        return self.say("stop").join(filter(None, (self._head(), self._others())))

    def say(self, key: str, **given: object) -> str:
        """A line of the table, filled in."""
        return TABLE[key][self.language].format(**given)

    def _head(self) -> str:
        d = self.d
        key: str = d.kind
        if d.kind == "one" and d.pick == d.baseline:
            key = "one of the baseline"
        if d.kind == "alone" and not d.failed:
            key = "alone by choice"
        pick = self._name(d.pick)
        return self.say(
            key,
            pick=pick,
            Pick=_capital(pick),
            baseline=self._name(d.baseline),
            value=self._value(d.metric, d.value),
            inside=self._joined([self._name(spec) for spec in d.inside]),
            lead=self._span(d.lead),
            rest=self._name(next(iter(d.out))) if len(d.out) == 1 else self.say("others"),
            out=self._repeats(min(d.out.values(), default=0), max(d.out.values(), default=0)),
            error=f"{100 * d.error:g} %",
            bound=self._amount(d.bound),
            gap=self._amount(d.gap),
            visible=self._amount(d.visible),
            rows=f"{d.rows:,}",
            repeats=self._repeats(d.repeats, d.repeats),
            needed=self._needed(),
        )

    def _needed(self) -> str:
        d = self.d
        if d.kind == "untested":
            return self._repeats(d.repeats_needed or 0, d.repeats_needed or 0)
        what, count = ("repeats", d.repeats_needed) if d.kind == "open" else ("rows", d.rows_needed)
        return self.say(f"{what} needed" if count else f"too many {what}", count=f"{count or 0:,}")

    def _others(self) -> str:
        """The one thing that matters most: what speaks against the pick before what agrees.

        Where the headline leaves it open, a metric that does not is the next best answer.
        """
        for says in ("no probabilities", "against", "agrees"):
            if found := [beside for beside in self.d.others if beside.says == says]:
                return self._beside(found)
        return ""

    def _beside(self, found: Sequence[Beside]) -> str:
        first = found[0]
        pick, metric = self._name(self.d.pick), self._metric(first.metric)
        specs = list(first.values)
        if first.says == "no probabilities":
            value = self._value(first.metric, first.values[specs[0]])
            other = self._name(specs[0])
            return self.say(
                "no probabilities", Pick=_capital(pick), pick=pick, other=other, value=value
            )
        if self.d.kind in ("rows", "open"):
            headline = self._metric(self.d.metric)
            return self.say(
                "tells",
                headline=headline,
                Headline=_capital(headline),
                metric=metric,
                values=self._listed(first, self._ranked(first)[:4]),
            )
        if first.says == "against":
            other = self._name(specs[1])
            values = self._listed(first, [specs[1], specs[0]])
            return self.say("against", metric=metric, other=other, pick=pick, values=values)
        against = specs[1]
        items = [self._item(beside, against) for beside in found if against in beside.values]
        key = "agrees" if len(items) > 1 else "agrees alone"
        return self.say(key, other=self._name(against), items=self._joined(items))

    def _item(self, beside: Beside, against: str) -> str:
        one, two = beside.values[str(self.d.pick)], beside.values[against]
        percent = " %" if METRICS[beside.metric].unit == "percent" else ""
        return self.say(
            "item",
            metric=self._metric(beside.metric),
            one=size(one, beside.metric),
            two=size(two, beside.metric) + percent,
        )

    def _listed(self, beside: Beside, specs: Sequence[str]) -> str:
        percent = " %" if METRICS[beside.metric].unit == "percent" else ""
        return self.say("comma").join(
            f"{self._name(spec)} {size(beside.values[spec], beside.metric)}{percent}"
            for spec in specs
        )

    def _ranked(self, beside: Beside) -> list[str]:
        sign = -1 if METRICS[beside.metric].higher else 1
        return sorted(beside.values, key=lambda spec: sign * beside.values[spec])

    def _name(self, spec: str | None) -> str:
        return self.names.get(spec or "", spec or "")

    def _metric(self, name: str) -> str:
        if self.language == "zh":
            return METRIC_NAMES_ZH.get(name, METRICS[name].label)
        return METRICS[name].label

    def _value(self, metric: str, value: float | None) -> str:
        if value is None:
            return ""
        key = "share" if METRICS[metric].unit == "percent" else "level"
        return self.say(key, size=size(value, metric), metric=self._metric(metric))

    def _amount(self, value: float | None) -> str:
        if value is None:
            return ""
        return self._unit(size(value, self.d.metric))

    def _span(self, ends: tuple[float, float] | None) -> str:
        if ends is None:
            return ""
        low, high = (size(end, self.d.metric) for end in ends)
        return self._unit(low if low == high else self.say("to", low=low, high=high))

    def _unit(self, text: str) -> str:
        unit = METRICS[self.d.metric].unit
        return self.say({"percent": "points", "nats": "nats"}.get(unit, "target"), size=text)

    def _repeats(self, low: int, high: int) -> str:
        if high == 1:
            return self.say("repeat")
        count = str(low) if low == high else self.say("to", low=low, high=high)
        return self.say("repeats", count=count)

    def _joined(self, names: Sequence[str]) -> str:
        if len(names) < 2:
            return "".join(names)
        return self.say("comma").join(names[:-1]) + self.say("and") + names[-1]


def size(value: float, metric: str) -> str:
    """A number as a person reads it: percent with one decimal, nats with two or three digits."""
    unit = METRICS[metric].unit
    if unit == "percent":
        text = f"{100 * value:.1f}"
        return text if text.strip("-0.") or not value else f"{100 * value:.2f}"
    if value == 0:
        return "0"
    digits = max(0, 2 - floor(log10(abs(value))))
    return f"{value:.{min(digits, 3 if unit == 'nats' else 12)}f}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
