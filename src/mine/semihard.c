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

static void prepare(const trm_sink *sink, trm_state *state, int64_t row);
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
    semihard->sink = (trm_sink){
        .has_bounds = true, .prepare = prepare, .window = window_of, .wants = wants, .offer = offer};
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

/* An anchor's thresholds, and the grid that finds a place among them in about one look: K cells of equal
 * width over [t_1, t_K], index[c] = how many thresholds lie in cells before c. The cell of a distance is a
 * monotone function, also as rounded, so thresholds in lower cells are smaller and those in higher cells
 * larger: only its own cell is searched. */
typedef struct anchor {
    int64_t first, count;
    const double *t;
    const int32_t *index;
    double cells_per_unit;
} anchor;

static anchor anchor_of(const trm_state *state, int64_t row)
{
    const int64_t first = state->offset[row];
    return (anchor){.first = first,
                    .count = state->offset[row + 1] - first,
                    .t = state->bound + first,
                    .index = state->index + first};
}

static void lay_grid(anchor *a)
{
    const double width = a->count > 0 ? a->t[a->count - 1] - a->t[0] : 0.0;
    a->cells_per_unit = width > 0.0 && (double)a->count / width < INFINITY ? (double)a->count / width : 0.0;
}

static int64_t cell_of(const anchor *a, double d)
{
    const double last = (double)(a->count - 1);
    double cell = (d - a->t[0]) * a->cells_per_unit;
    cell = cell > 0.0 ? cell : 0.0;
    cell = cell < last ? cell : last;
    return (int64_t)cell;
}

static void prepare(const trm_sink *sink, trm_state *state, int64_t row)
{
    (void)sink;
    anchor a = anchor_of(state, row);
    lay_grid(&a);
    int32_t *index = state->index + a.first;
    int64_t cell = 0;
    for (int64_t i = 0; i < a.count; i++)
        for (const int64_t last = cell_of(&a, a.t[i]); cell <= last; cell++)
            index[cell] = (int32_t)i;
    for (; cell < a.count; cell++)
        index[cell] = (int32_t)a.count;
}

/* How many thresholds are below d, which is in that cell. Few lie in a cell: comparing with a fixed number of
 * them, counted or not, costs less than a loop whose end nobody can predict. (Bounds are padded by
 * TRM_STATE_PADDING for this.) */
static inline int64_t count_in_cell(const trm_semihard *semihard, const anchor *a, int64_t cell, double d)
{
    const int64_t at = a->index[cell];
    const int64_t end = cell + 1 < a->count ? a->index[cell + 1] : a->count;
    if (end - at > TRM_STATE_PADDING)
        return at + count_behind(semihard, TRM_ASK_NEAREST_BEYOND, a->t + at, end - at, d);
    int64_t below = 0;
    for (int64_t k = 0; k < TRM_STATE_PADDING; k++)
        below += (int64_t)(k < end - at) & (int64_t)(a->t[at + k] < d);
    return at + below;
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
        double from = INFINITY, to = -INFINITY;
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
    double from = INFINITY, to = -INFINITY;
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

/* The bucket that a distance with that many thresholds behind it goes to, or -1 where it answers no pair. */
static int64_t bucket_of(trm_question question, const anchor *a, int64_t behind)
{
    if (is_nearest(question))
        return behind - 1;
    return behind < a->count ? behind : -1;
}

static bool put(trm_candidate *best, int64_t bucket, trm_candidate candidate)
{
    if (bucket < 0 || !trm_candidate_less(candidate, best[bucket]))
        return false;
    best[bucket] = candidate;
    return true;
}

/* One question, one distance after another. */
static bool offer_singly(const trm_semihard *semihard, trm_question question, const anchor *a,
                         trm_candidate *best, int64_t n, const double *d, const int64_t *ids)
{
    const double sign = is_nearest(question) ? 1.0 : -1.0;
    bool changed = false;
    for (int64_t i = 0; i < n; i++) {
        int64_t bucket = 0;
        if (!is_single(question))
            bucket = bucket_of(question, a, count_behind(semihard, question, a->t, a->count, d[i]));
        changed |= put(best, bucket, (trm_candidate){sign * d[i], ids[i]});
    }
    return changed;
}

/* Many thresholds, many distances: an anchor's tables are far larger than a cache, and every distance lands
 * somewhere else in them. So the places are found for a batch at a time, each step asking for the next one's
 * memory ahead. */
static bool offer_batch(const trm_semihard *semihard, trm_question question, const anchor *a,
                        trm_candidate *best, int64_t n, const double *d, const int64_t *ids)
{
    enum { BATCH = 64 };
    int64_t cell[BATCH];
    const double sign = is_nearest(question) ? 1.0 : -1.0;
    bool changed = false;
    for (int64_t first = 0; first < n; first += BATCH) {
        const int64_t count = n - first < BATCH ? n - first : BATCH;
        for (int64_t i = 0; i < count; i++) {
            cell[i] = cell_of(a, d[first + i]);
            __builtin_prefetch(&a->index[cell[i]]);
        }
        for (int64_t i = 0; i < count; i++) {
            __builtin_prefetch(&a->t[a->index[cell[i]] - (a->index[cell[i]] == a->count)]);
            __builtin_prefetch(&best[a->index[cell[i]] - (a->index[cell[i]] == a->count)], 1);
        }
        for (int64_t i = 0; i < count; i++) {
            const int64_t behind = count_in_cell(semihard, a, cell[i], d[first + i]);
            changed |= put(best, bucket_of(question, a, behind),
                           (trm_candidate){sign * d[first + i], ids[first + i]});
        }
    }
    return changed;
}

static bool offer(const trm_sink *sink, trm_state *state, int64_t row, int64_t n, const double *d,
                  const int64_t *ids, int64_t place)
{
    (void)place;
    enum { BATCH_FROM_THRESHOLDS = 16, BATCH_FROM_DISTANCES = 8 };
    const trm_semihard *semihard = (const trm_semihard *)sink;
    anchor a = anchor_of(state, row);
    if (a.count == 0)
        return false;
    const bool many = a.count >= BATCH_FROM_THRESHOLDS && n >= BATCH_FROM_DISTANCES;
    bool changed = false;
    if (many)
        lay_grid(&a);
    for (int set = 0; set < sink->sets; set++) {
        const trm_question question = semihard->question[set];
        trm_candidate *best = state->best + set * state->slots + a.first;
        const bool by_threshold = question == TRM_ASK_NEAREST_BEYOND || question == TRM_ASK_FARTHEST_UP_TO;
        changed |= many && by_threshold ? offer_batch(semihard, question, &a, best, n, d, ids)
                                        : offer_singly(semihard, question, &a, best, n, d, ids);
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
