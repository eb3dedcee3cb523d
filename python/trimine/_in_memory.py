"""Options of losses of rows in memory: presets, which of them apply, and their values as the library's structs have them."""
import ctypes

import numpy as np

from . import _abi
from ._options import IN_MEMORY, PRESETS, WORDS
from .errors import nearest, usage

# Of keywords the struct and the member; of the others see fill.
MEMBERS = {
    **{name: ("mine", name) for name in ("positives", "negatives", "window", "pick", "fallback", "rank_order", "min_distance",
                                         "max_distance", "absolute_margin", "relative_margin", "max_triplets", "seed",
                                         "not_near_positive", "and_labels", "shortlist")},
    **{name: ("loss", name) for name in ("soft", "swap", "reduction")},
    "negative_ranks": ("mine", "ranks"), "emit": ("mine", "emit_sets"),
}
OTHERS = ("metric", "margin", "loss", "within", "lone", "at_zero", "compat", "normalize", "gradient_at", "ignore_label", "batches",
          "classes_per_batch", "rows_per_class", "norm_floor")


ARGUMENTS = ("given", "gradient", "pairs", "queries", "query_labels", "triplets")  # of Run.loss, beside options


class Settings:
    """What a call was told. packed, given: is it about packed triplets, or about a list of them?

    words -- keywords as the program takes them, to be checked by it
    """

    def __init__(self, options, packed=False, given=False):
        for name in options:
            if name not in IN_MEMORY:
                hint = nearest(name, (*IN_MEMORY, *ARGUMENTS)) or f"; there are {', '.join(sorted(IN_MEMORY))}"
                raise usage(f"'{name}': no option of a loss in memory{hint}")
        self.packed, self.given = packed, given
        self.words = {name: value for name, value in options.items() if value is not None and value is not False}
        self.values = {name: value_of(name, value) for name, value in {**self.preset(), **self.words}.items()}
        self.source = self.find_source()
        self.check_applying()

    def __getitem__(self, name):
        return self.values.get(name)

    def preset(self):
        name = self.words.get("compat")
        if name is None:
            return {}
        if name not in PRESETS:
            raise usage(f"compat is {name!r}, must be one of {' '.join(PRESETS)}")
        of_packed, words = PRESETS[name]
        if of_packed != self.packed:
            raise usage(f"compat {name!r} is for {'packed triplets' if of_packed else 'rows with labels'}")
        return words

    def find_source(self):
        """The name that applies_to has for where triplets come from."""
        if self.packed:
            kind = self["negatives"] or "semihard"
            return "packed-" + (kind if kind in ("semihard", "reversed") else "other")
        if self.given:
            return "given"
        source = WORDS["loss"][self["loss"]] if self["loss"] is not None else "mined"
        return "within-margin" if source == "batch-all" and self["within"] is not None else source

    def check_applying(self):
        for name in self.values:
            sources = IN_MEMORY[name][2]
            if sources is not None and self.source not in sources:
                of_preset = "" if name in self.words else f" (of compat {self.words['compat']!r})"
                raise usage(f"{name}{of_preset} does not apply to {self.source}")

    def margins(self, library):
        """Of the window, and of the loss."""
        usual = library.trm_metric_default_margin(self["metric"] or 0)
        window = usual if self["margin"] is None else self["margin"]
        loss = 0.0 if self["soft"] and self["margin"] is None else window
        return window if self.source == "mined" or self.packed else loss, loss

    def fill(self, library, mine, loss):
        """The parts of trm_evaluate_options."""
        parts = {"mine": mine, "loss": loss}
        for name, value in self.values.items():
            if name in MEMBERS:
                struct, member = MEMBERS[name]
                setattr(parts[struct], member, value.encode() if isinstance(value, str) else value)
        mine.metric = loss.metric = self["metric"] or 0
        mine.margin, loss.margin = self.margins(library)
        if self.source == "within-margin":
            mine.margin = self["within"]
        mine.lone = bool(self["lone"]) and self.source == "mined"
        loss.whole_at_zero = bool(self["at_zero"])

    def evaluate_options(self, library):
        options = library_defaults(library.trm_evaluate_options_init_sized, _abi.EvaluateOptions(), "mine", "loss")
        self.fill(library, options.mine, options.loss)
        options.source = _abi.SOURCES[self.source.replace("within-margin", "within")]
        options.lone = bool(self["lone"]) and self.source == "batch-hard"
        return options

    def packed_options(self, library):
        options, mine = library_defaults(library.trm_packed_options_init_sized, _abi.PackedOptions(), "loss"), _abi.MineOptions()
        mine.negatives, mine.window, mine.pick = options.negatives, options.window, options.pick
        self.fill(library, mine, options.loss)
        for name in ("negatives", "window", "pick", "fallback", "seed"):
            setattr(options, name, getattr(mine, name))
        options.window_margin = mine.margin
        options.norm_floor = (self["norm_floor"] or 0.0) if WORDS["metric"][self["metric"] or 0] == "cosine" else 0.0
        return options


def library_defaults(init, options, *parts):
    init(ctypes.byref(options), *map(ctypes.sizeof, [options, *(getattr(options, part) for part in parts)]))
    return options


def value_of(name, value):
    """A value as the structs have it: words by their numbers, which a check of their own refuses; texts of numbers as numbers."""
    kind = IN_MEMORY[name][1]
    if kind == "word":
        if value not in WORDS[name]:
            raise usage(f"{name} is {value!r}, must be one of {' '.join(WORDS[name])}")
        return WORDS[name].index(value)
    if name == "batches" and not isinstance(value, (int, np.integer, str)):
        return [np.sort(np.asarray(rows)) for rows in value]
    if kind == "text":
        if not isinstance(value, str):
            raise usage(f"{name} is {value!r}, must be a text")
        return value
    try:
        if kind == "labels":
            return [int(v) for v in (value if np.ndim(value) else [value])]
        return {"flag": bool, "whole": int, "real": float}[kind](value)
    except (TypeError, ValueError):
        raise usage(f"{name} is {value!r}, which is not of its kind ({kind})") from None
