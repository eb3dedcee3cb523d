/* The semihard query.
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

#include "mine/intervals.h"

/* One question about the negatives of an anchor with thresholds t_1 <= ... <= t_K. */
typedef enum trm_question {
    TRM_ASK_NOTHING,
    TRM_ASK_NEAREST_BEYOND,  /* per pair: the smallest d > t_i */
    TRM_ASK_FARTHEST_UP_TO,  /* per pair: the largest d <= t_i */
    TRM_ASK_FARTHEST_WITHIN, /* per pair: the largest d whose d - t_i is inside the window */
    TRM_ASK_NEAREST,         /* once: the smallest d */
    TRM_ASK_FARTHEST         /* once: the largest d */
} trm_question;

static trm_question question_of(const trm_negatives *semihard, int set)
{
    return (trm_question)semihard->question[set];
}

static bool is_single(trm_question question)
{
    return question == TRM_ASK_NEAREST || question == TRM_ASK_FARTHEST;
}

/* Whether minima of d are kept, from the right; otherwise minima of -d, from the left. */
static bool is_nearest(trm_question question)
{
    return question == TRM_ASK_NEAREST || question == TRM_ASK_NEAREST_BEYOND;
}

/* How many of the K thresholds are behind d. */
static int64_t count_behind(const trm_negatives *semihard, trm_question question, const double *t,
                            int64_t count, double d)
{
    return trm_window_behind(&semihard->options, question == TRM_ASK_FARTHEST_WITHIN, t, count, d);
}

/* What was found for a question of row; its shape is 1 + the question's number. */
static trm_candidate *found_of(const trm_state *state, int set, int64_t row)
{
    trm_candidate *found = state->field[TRM_FIELD_BEYOND_THRESHOLDS + set];
    return found + state->offset[1 + set][row];
}

/* The interval that one question still cares about. */
static void question_window(const trm_negatives *semihard, int set, const trm_candidate *best,
                            trm_thresholds a, double *lo, double *hi)
{
    switch (question_of(semihard, set)) {
    case TRM_ASK_NOTHING:
        *lo = INFINITY;
        *hi = -INFINITY;
        return;
    case TRM_ASK_NEAREST_BEYOND: /* what lies beyond the last threshold is beyond all */
        *lo = a.t[0];
        *hi = fmin(best[a.count - 1].key, trm_window_end(&semihard->options, a.t[a.count - 1]));
        return;
    case TRM_ASK_FARTHEST_UP_TO:
        *lo = -best[0].key;
        *hi = a.t[a.count - 1];
        return;
    case TRM_ASK_FARTHEST_WITHIN: /* and farther than the smallest threshold, or it serves nobody */
        *lo = fmax(-best[0].key, a.t[0]);
        *hi = trm_window_end(&semihard->options, a.t[a.count - 1]);
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

/* A trm_semihard_window_fn. */
static void window_of(const trm_negatives *semihard, const trm_state *state, int64_t row, int set,
                      trm_thresholds a, double *lo, double *hi)
{
    question_window(semihard, set, found_of(state, set, row), a, lo, hi);
}

static void window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    trm_semihard_window(query, state, row, window_of, lo, hi);
}

/* Could a distance in [lo, hi] improve a bucket of one question? Looks at the few buckets it may fall into.
 */
static bool question_wants(const trm_negatives *semihard, int set, const trm_candidate *best,
                           trm_thresholds a, double lo, double hi)
{
    enum { LOOK_AT_MOST = 8 };
    const trm_question question = question_of(semihard, set);
    double from = INFINITY, to = -INFINITY;
    question_window(semihard, set, best, a, &from, &to);
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

static bool wants(const trm_query *query, const trm_state *state, int64_t row, double lo, double hi)
{
    const trm_thresholds a = trm_thresholds_of(state, row);
    for (int set = 0; set < TRM_QUESTIONS && a.count > 0; set++)
        if (question_wants(query->settings, set, found_of(state, set, row), a, lo, hi))
            return true;
    return false;
}

/* The nearest negative beyond all thresholds serves all pairs, so none that is farther serves any, nor either fallback. */
static int64_t keeps(const trm_query *query, const trm_state *state, int64_t row, double *from)
{
    const trm_thresholds a = trm_thresholds_of(state, row);
    *from = a.count > 0 ? a.t[a.count - 1] : 0.0;
    return a.count > 0 && question_of(query->settings, 0) == TRM_ASK_NEAREST_BEYOND;
}

/* The bucket that a distance with that many thresholds behind it goes to, or -1 where it answers no pair. */
static int64_t bucket_of(trm_question question, const trm_thresholds *a, int64_t behind)
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
static bool offer_singly(const trm_negatives *semihard, trm_question question, const trm_thresholds *a,
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

/* Where a distance has to be to win a bucket of a question by threshold. */
static void intervals_of(trm_question question, const trm_thresholds *a, const trm_candidate *best,
                         trm_intervals *wins)
{
    const int count = (int)a->count;
    wins->count = count;
    for (int k = 0; k < count; k++) {
        if (is_nearest(question)) {
            const double end = k + 1 < count ? a->t[k + 1] : INFINITY;
            wins->from[k] = a->t[k];
            wins->to[k] = best[k].key < end ? best[k].key : end;
        } else {
            const double end = k > 0 ? a->t[k - 1] : -INFINITY;
            wins->from[k] = -best[k].key > end ? -best[k].key : end;
            wins->to[k] = a->t[k];
        }
    }
}

/* Few thresholds, many distances, of which few win. */
static bool offer_winners(const trm_negatives *semihard, trm_question question, const trm_thresholds *a,
                          trm_candidate *best, int64_t n, const double *d, const int64_t *ids)
{
    bool changed = false;
    for (int64_t first = 0; first < n; first += TRM_INTERVALS_BATCH) {
        const int64_t count = n - first < TRM_INTERVALS_BATCH ? n - first : TRM_INTERVALS_BATCH;
        trm_intervals wins;
        intervals_of(question, a, best, &wins);
        uint64_t found = trm_intervals_find(&wins, d + first, (int)count);
        for (; found != 0; found &= found - 1) {
            const int64_t i = first + __builtin_ctzll(found);
            changed |= offer_singly(semihard, question, a, best, 1, d + i, ids + i);
        }
    }
    return changed;
}

/* Puts a candidate without a branch: with thousands of thresholds, whether it wins can't be guessed. */
static inline int64_t put_smoothly(trm_candidate *best, double key, int64_t id)
{
    const bool wins = (key < best->key) | ((key == best->key) & (id < best->id));
    best->key = wins ? key : best->key;
    best->id = wins ? id : best->id;
    return wins;
}

/* Many thresholds, many distances. */
static bool offer_batch(trm_question question, const trm_thresholds *a, trm_candidate *best, int64_t n,
                        const double *d, const int64_t *ids)
{
    int64_t below[TRM_THRESHOLDS_BATCH], wins = 0;
    const bool nearest = is_nearest(question);
    const double sign = nearest ? 1.0 : -1.0;
    const trm_beside beside = {best, sizeof *best};
    for (int64_t first = 0; first < n; first += TRM_THRESHOLDS_BATCH) {
        const int64_t count = n - first < TRM_THRESHOLDS_BATCH ? n - first : TRM_THRESHOLDS_BATCH;
        trm_thresholds_below(a, count, d + first, 0.0, beside, below);
        trm_thresholds_look_ahead(a, beside, first, n);
        for (int64_t i = 0; i < count; i++) {
            /* outside all buckets: offered to the first or last, where it must lose */
            const int64_t bucket = nearest ? below[i] - 1 : below[i];
            const bool outside = bucket < 0 || bucket >= a->count;
            const int64_t place = bucket < 0 ? 0 : bucket < a->count ? bucket : a->count - 1;
            wins += put_smoothly(&best[place], outside ? INFINITY : sign * d[first + i],
                                 outside ? INT64_MAX : ids[first + i]);
        }
    }
    return wins > 0;
}

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *tally)
{
    (void)tally;
    enum { BATCH_FROM_DISTANCES = 8 };
    const trm_negatives *semihard = query->settings;
    trm_thresholds a = trm_thresholds_of(state, row);
    if (a.count == 0)
        return false;
    const bool batch = seen->n >= BATCH_FROM_DISTANCES, few = a.count <= TRM_INTERVALS_MAX;
    bool changed = false;
    if (batch && !few)
        trm_thresholds_grid(&a);
    for (int set = 0; set < TRM_QUESTIONS; set++) {
        const trm_question question = question_of(semihard, set);
        trm_candidate *best = found_of(state, set, row);
        const bool by_threshold = question == TRM_ASK_NEAREST_BEYOND || question == TRM_ASK_FARTHEST_UP_TO;
        if (question == TRM_ASK_NOTHING)
            continue;
        if (!batch || !by_threshold)
            changed |= offer_singly(semihard, question, &a, best, seen->n, seen->d, seen->id);
        else if (few)
            changed |= offer_winners(semihard, question, &a, best, seen->n, seen->d, seen->id);
        else
            changed |= offer_batch(question, &a, best, seen->n, seen->d, seen->id);
    }
    return changed;
}

/* Slot i of a question by threshold then answers pair i. */
static void settle(const trm_query *query, trm_state *state, int64_t row, trm_candidate *scratch)
{
    (void)scratch;
    const trm_negatives *semihard = query->settings;
    for (int set = 0; set < TRM_QUESTIONS; set++) {
        trm_candidate *best = found_of(state, set, row);
        const int64_t count = trm_state_count(state, 1 + set, row);
        if (is_single(question_of(semihard, set)))
            continue;
        if (is_nearest(question_of(semihard, set))) {
            for (int64_t i = count - 2; i >= 0; i--)
                if (trm_candidate_less(best[i + 1], best[i]))
                    best[i] = best[i + 1];
        } else {
            for (int64_t i = 1; i < count; i++)
                if (trm_candidate_less(best[i - 1], best[i]))
                    best[i] = best[i - 1];
        }
    }
}

static int64_t slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    (void)there;
    const trm_negatives *semihard = query->settings;
    if (shape == 0)
        return pairs;
    const trm_question question = question_of(semihard, shape - 1);
    if (question == TRM_ASK_NOTHING || pairs == 0)
        return 0;
    return is_single(question) ? 1 : pairs;
}

static const trm_query_type type = {
    .name = "semihard",
    .relation = TRM_OTHER_LABEL,
    .shapes = 1 + TRM_QUESTIONS,
    .fields = TRM_FIELD_BEYOND_THRESHOLDS + TRM_QUESTIONS,
    .field = {TRM_THRESHOLDS_FIELDS,
              {"negatives", TRM_FIELD_FOUND, 1, sizeof(trm_candidate), &trm_merge_min},
              {"fallback", TRM_FIELD_FOUND, 2, sizeof(trm_candidate), &trm_merge_min}},
    .slots = slots,
    .give = trm_thresholds_give,
    .prepare = trm_thresholds_prepare,
    .window = window,
    .wants = wants,
    .keeps = keeps,
    .offer = offer,
    .settle = settle,
};

static void begin(trm_negatives *semihard)
{
    const trm_mine_options *options = &semihard->options;
    if (options->pick == TRM_PICK_RANDOM || options->fallback == TRM_FALLBACK_RANDOM) {
        semihard->policy = &trm_negatives_semihard_random;
        semihard->query.type = semihard->policy->query;
        return;
    }
    if (options->pick == TRM_PICK_NEAREST)
        semihard->question[0] = TRM_ASK_NEAREST_BEYOND;
    else
        semihard->question[0] =
            options->window == TRM_WINDOW_NONE ? TRM_ASK_FARTHEST : TRM_ASK_FARTHEST_WITHIN;
    if (options->fallback == TRM_FALLBACK_FARTHEST_INSIDE)
        semihard->question[1] = TRM_ASK_FARTHEST_UP_TO;
    if (options->fallback == TRM_FALLBACK_HARDEST)
        semihard->question[1] = TRM_ASK_NEAREST;
}

/* A trm_semihard_found_fn. */
static bool found_for(const trm_negatives *semihard, const trm_state *state, int64_t row, int set, int64_t i,
                      int64_t *id, double *d)
{
    const trm_question question = question_of(semihard, set);
    if (question == TRM_ASK_NOTHING)
        return false;
    const trm_candidate found = found_of(state, set, row)[is_single(question) ? 0 : i];
    *id = found.id;
    *d = is_nearest(question) ? found.key : 0.0 - found.key;
    return trm_candidate_exists(found);
}

static int64_t answer(const trm_negatives *semihard, const trm_state *state, int64_t row,
                      const trm_candidate *pair, int64_t i, trm_answer *answers)
{
    return trm_semihard_answer(semihard, state, row, pair[i].key, i, found_for, answers);
}

const trm_negatives_policy trm_negatives_semihard = {
    .word = {.name = "semihard",
             .about = "a negative farther than the positive, by window, pick and fallback"},
    .query = &type,
    .takes = TRM_TAKES_WINDOW,
    .begin = begin,
    .most = trm_negatives_one,
    .answer = answer};
