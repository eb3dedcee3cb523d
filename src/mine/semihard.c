/* The semihard sink.
 *
 * An anchor's thresholds t_1 <= ... <= t_K cut the line of distances into buckets. A candidate at distance d
 * with exactly c thresholds "behind" it goes to one bucket; a suffix (or prefix) minimum over the buckets,
 * taken once at the end, answers every pair. State is O(pairs), an update touches one bucket, and the order
 * of updates does not matter.
 *
 *   nearest beyond:  behind means t_i < d. d answers pairs i <= c: bucket c, minima taken from the right.
 *   farthest up to:  behind means t_i < d. d answers pairs i > c: bucket c + 1, minima of -d taken from the
 * left. farthest within: behind means that d - t_i is outside the window. Both tests are monotone in d and in
 * t also in float64, because rounding is monotone. The same as above. Ties: candidates compare by (key, row
 * id); d equal to t_i is not beyond it (the strictness of SEMIHARD). */
#include "mine/semihard.h"

#include <float.h>

static void window_of(const trm_sink *sink, const trm_state *state, int64_t row, double *lo, double *hi);
static bool wants(const trm_sink *sink, const trm_state *state, int64_t row, double lo, double hi);
static bool offer(const trm_sink *sink, trm_state *state, int64_t row, int64_t n, const double *d,
                  const int64_t *ids, int64_t place);

static bool is_single(trm_question question)
{
    return question == TRM_ASK_NEAREST || question == TRM_ASK_FARTHEST;
}

/* Whether minima of d are kept, from the right; otherwise minima of -d, from the left. */
static bool is_nearest(trm_question question)
{
    return question == TRM_ASK_NEAREST || question == TRM_ASK_NEAREST_BEYOND;
}

void trm_semihard_init(trm_semihard *semihard, const trm_mine_options *options)
{
    *semihard = (trm_semihard){.options = *options};
    semihard->sink = (trm_sink){.has_bounds = true, .window = window_of, .wants = wants, .offer = offer};
    int sets = 0;
    if (options->pick == TRM_PICK_NEAREST)
        semihard->question[sets++] = TRM_ASK_NEAREST_BEYOND;
    else
        semihard->question[sets++] =
            options->window == TRM_WINDOW_NONE ? TRM_ASK_FARTHEST : TRM_ASK_FARTHEST_WITHIN;
    if (options->fallback == TRM_FALLBACK_FARTHEST_INSIDE)
        semihard->question[sets++] = TRM_ASK_FARTHEST_UP_TO;
    if (options->fallback == TRM_FALLBACK_HARDEST)
        semihard->question[sets++] = TRM_ASK_NEAREST;
    semihard->sink.sets = sets;
}

static bool inside_window(const trm_mine_options *options, double d, double threshold)
{
    const double gap = d - threshold;
    return options->window == TRM_WINDOW_NONE || gap < options->margin ||
           (options->window == TRM_WINDOW_LE && gap == options->margin);
}

/* How many of the K thresholds are behind d. */
static int64_t count_behind(const trm_semihard *semihard, trm_question question, const double *t,
                            int64_t count, double d)
{
    const double *base = t;
    while (count > 0) { /* branch-free in the common question: which half is data, not control */
        const int64_t half = count / 2;
        const bool behind = question == TRM_ASK_FARTHEST_WITHIN
                                ? !inside_window(&semihard->options, d, base[half])
                                : base[half] < d;
        base = behind ? base + half + 1 : base;
        count = behind ? count - half - 1 : half;
    }
    return base - t;
}

typedef struct anchor {
    int64_t first, count;
    const double *t;
} anchor;

static anchor anchor_of(const trm_state *state, int64_t row)
{
    const int64_t first = state->offset[row];
    return (anchor){first, state->offset[row + 1] - first, state->bound + first};
}

/* An upper bound of the distances that are inside the window of threshold t. */
static double window_end(const trm_mine_options *options, double t)
{
    if (options->window == TRM_WINDOW_NONE)
        return INFINITY;
    return t + options->margin + 8.0 * DBL_EPSILON * (fabs(t) + options->margin);
}

/* The interval that one question still cares about. */
static void question_window(const trm_semihard *semihard, int set, const trm_state *state, anchor a,
                            double *lo, double *hi)
{
    const trm_candidate *best = state->best + set * state->slots + a.first;
    switch (semihard->question[set]) {
    case TRM_ASK_NEAREST_BEYOND: /* what lies beyond the last threshold is beyond all */
        *lo = a.t[0];
        *hi = fmin(best[a.count - 1].key, window_end(&semihard->options, a.t[a.count - 1]));
        return;
    case TRM_ASK_FARTHEST_UP_TO:
        *lo = -best[0].key;
        *hi = a.t[a.count - 1];
        return;
    case TRM_ASK_FARTHEST_WITHIN: /* and farther than the smallest threshold, or it serves nobody */
        *lo = fmax(-best[0].key, a.t[0]);
        *hi = window_end(&semihard->options, a.t[a.count - 1]);
        return;
    case TRM_ASK_NEAREST:
        *lo = -INFINITY;
        *hi = best[0].key;
        return;
    case TRM_ASK_FARTHEST:
        *lo = fmax(-best[0].key, a.t[0]);
        *hi = INFINITY;
        return;
    }
}

static void window_of(const trm_sink *sink, const trm_state *state, int64_t row, double *lo, double *hi)
{
    const trm_semihard *semihard = (const trm_semihard *)sink;
    const anchor a = anchor_of(state, row);
    *lo = INFINITY;
    *hi = -INFINITY;
    for (int set = 0; set < sink->sets && a.count > 0; set++) {
        double from, to;
        question_window(semihard, set, state, a, &from, &to);
        *lo = fmin(*lo, from);
        *hi = fmax(*hi, to);
    }
}

/* Could a distance in [lo, hi] improve a bucket of one question? Looks at the few buckets it may fall into.
 */
static bool question_wants(const trm_semihard *semihard, int set, const trm_state *state, anchor a, double lo,
                           double hi)
{
    enum { LOOK_AT_MOST = 8 };
    const trm_question question = semihard->question[set];
    const trm_candidate *best = state->best + set * state->slots + a.first;
    double from, to;
    question_window(semihard, set, state, a, &from, &to);
    if (hi < from || lo > to)
        return false;
    if (is_single(question) || a.count == 1)
        return true;
    int64_t first = count_behind(semihard, question, a.t, a.count, lo);
    int64_t last = count_behind(semihard, question, a.t, a.count, hi);
    if (is_nearest(question)) {
        first--;
        last--;
    }
    first = first < 0 ? 0 : first;
    last = last > a.count - 1 ? a.count - 1 : last;
    if (last - first >= LOOK_AT_MOST)
        return true;
    const double key = is_nearest(question) ? lo : -hi;
    for (int64_t i = first; i <= last; i++)
        if (key <= best[i].key)
            return true;
    return false;
}

static bool wants(const trm_sink *sink, const trm_state *state, int64_t row, double lo, double hi)
{
    const anchor a = anchor_of(state, row);
    for (int set = 0; set < sink->sets && a.count > 0; set++)
        if (question_wants((const trm_semihard *)sink, set, state, a, lo, hi))
            return true;
    return false;
}

/* The bucket of d, or -1 where it answers no pair. */
static int64_t bucket_of(const trm_semihard *semihard, trm_question question, anchor a, double d)
{
    if (is_single(question))
        return 0;
    const int64_t behind = count_behind(semihard, question, a.t, a.count, d);
    if (is_nearest(question))
        return behind - 1;
    return behind < a.count ? behind : -1;
}

static bool offer(const trm_sink *sink, trm_state *state, int64_t row, int64_t n, const double *d,
                  const int64_t *ids, int64_t place)
{
    (void)place;
    const trm_semihard *semihard = (const trm_semihard *)sink;
    const anchor a = anchor_of(state, row);
    bool changed = false;
    for (int set = 0; set < sink->sets && a.count > 0; set++) {
        const trm_question question = semihard->question[set];
        trm_candidate *best = state->best + set * state->slots + a.first;
        const double sign = is_nearest(question) ? 1.0 : -1.0;
        for (int64_t i = 0; i < n; i++) {
            const int64_t bucket = bucket_of(semihard, question, a, d[i]);
            const trm_candidate candidate = {sign * d[i], ids[i]};
            if (bucket >= 0 && trm_candidate_less(candidate, best[bucket])) {
                best[bucket] = candidate;
                changed = true;
            }
        }
    }
    return changed;
}

void trm_semihard_finish(const trm_semihard *semihard, trm_state *state)
{
    for (int set = 0; set < semihard->sink.sets; set++) {
        trm_candidate *best = state->best + set * state->slots;
        for (int64_t row = 0; row < state->rows; row++) {
            const int64_t first = state->offset[row], last = state->offset[row + 1];
            if (is_single(semihard->question[set]))
                continue;
            if (is_nearest(semihard->question[set])) {
                for (int64_t i = last - 2; i >= first; i--)
                    if (trm_candidate_less(best[i + 1], best[i]))
                        best[i] = best[i + 1];
            } else {
                for (int64_t i = first + 1; i < last; i++)
                    if (trm_candidate_less(best[i - 1], best[i]))
                        best[i] = best[i - 1];
            }
        }
    }
}

/* What a set answers for pair i of row. */
static trm_candidate answer_of(const trm_semihard *semihard, const trm_state *state, int set, int64_t row,
                               int64_t i)
{
    const int64_t slot = state->offset[row] + (is_single(semihard->question[set]) ? 0 : i);
    return state->best[set * state->slots + slot];
}

bool trm_semihard_answer(const trm_semihard *semihard, const trm_state *state, int64_t row, int64_t i,
                         int64_t *negative, double *d_an, trm_kind *kind)
{
    const double threshold = state->bound[state->offset[row] + i];
    for (int set = 0; set < semihard->sink.sets; set++) {
        const trm_candidate found = answer_of(semihard, state, set, row, i);
        if (!trm_candidate_exists(found))
            continue;
        const double d = is_nearest(semihard->question[set]) ? found.key : 0.0 - found.key;
        if (set == 0 && !(d > threshold && inside_window(&semihard->options, d, threshold)))
            continue;
        *negative = found.id;
        *d_an = d;
        *kind = set == 0 ? TRM_KIND_SEMIHARD : TRM_KIND_FALLBACK;
        return true;
    }
    return false;
}
