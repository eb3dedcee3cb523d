/* Semihard negatives where the pick or the fallback is drawn.
 *
 * Here a distance is a candidate for a range of the anchor's pairs, and what it is chosen by (its key: a random
 * number, d or -d) has nothing to do with where that range lies. With thresholds t_1 <= ... <= t_K, d is beyond
 * the first c of them, and inside the window of those from some place on:
 *
 *   beyond:  pairs up to c. One slot a pair: the candidate goes to slot c, minima are taken from the right at the
 *            end.
 *   up to:   pairs after c. Slot c + 1, minima from the left.
 *   within:  pairs from inside the window up to c. Two slots a pair but one, the nodes of a tree over the pairs:
 *            the candidate goes to the at most 2 log2 K nodes that make up the range, and at the end every node is
 *            handed down to the leaves, which answer. It is 2 searches and 2 log2 K compares a distance inside a
 *            window.
 *   all:     one slot.
 *
 * A slot keeps a minimum, so the order of updates does not matter. A random number is asked for only where there
 * is a range; it costs as much as a few dozen dimensions of a distance. */
#include "mine/draws.h"
#include "mine/semihard.h"

typedef enum trm_range {
    TRM_RANGE_NONE,
    TRM_RANGE_BEYOND,
    TRM_RANGE_UP_TO,
    TRM_RANGE_WITHIN,
    TRM_RANGE_ALL
} trm_range;
typedef enum trm_key { TRM_KEY_NEAR, TRM_KEY_FAR, TRM_KEY_RANDOM } trm_key;

/* A question: whom a candidate is for, and by what it is chosen. */
typedef struct trm_question {
    trm_range range;
    trm_key key;
} trm_question;

static trm_question pick_of(const trm_mine_options *options)
{
    static const trm_key keys[] = {[TRM_PICK_NEAREST] = TRM_KEY_NEAR,
                                   [TRM_PICK_FARTHEST] = TRM_KEY_FAR,
                                   [TRM_PICK_RANDOM] = TRM_KEY_RANDOM};
    /* the nearest beyond is inside the window or none is */
    const bool beyond = options->window == TRM_WINDOW_NONE || options->pick == TRM_PICK_NEAREST;
    return (trm_question){beyond ? TRM_RANGE_BEYOND : TRM_RANGE_WITHIN, keys[options->pick]};
}

static trm_question fallback_of(const trm_mine_options *options)
{
    static const trm_question questions[] = {[TRM_FALLBACK_SKIP] = {TRM_RANGE_NONE, TRM_KEY_NEAR},
                                             [TRM_FALLBACK_FARTHEST_INSIDE] = {TRM_RANGE_UP_TO, TRM_KEY_FAR},
                                             [TRM_FALLBACK_HARDEST] = {TRM_RANGE_ALL, TRM_KEY_NEAR},
                                             [TRM_FALLBACK_RANDOM] = {TRM_RANGE_ALL, TRM_KEY_RANDOM}};
    return questions[options->fallback];
}

static trm_question question_of(const trm_negatives *semihard, int set)
{
    return set == 0 ? pick_of(&semihard->options) : fallback_of(&semihard->options);
}

/* What was found for a question of row. */
static trm_draw *found_of(const trm_state *state, int set, int64_t row)
{
    int64_t count;
    return trm_draws_of(state, TRM_FIELD_BEYOND_THRESHOLDS + set, row, &count);
}

static int64_t slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    (void)there;
    if (shape == 0 || pairs == 0)
        return pairs;
    switch (question_of(query->settings, shape - 1).range) {
    case TRM_RANGE_NONE:
        return 0;
    case TRM_RANGE_ALL:
        return 1;
    case TRM_RANGE_WITHIN:
        return 2 * pairs - 1;
    default:
        return pairs;
    }
}

/* The distances that a question is about. What has been found does not narrow them: any may be drawn. */
static void question_window(const trm_negatives *semihard, int set, trm_thresholds a, double *lo, double *hi)
{
    const trm_mine_options *options = &semihard->options;
    switch (question_of(semihard, set).range) {
    case TRM_RANGE_NONE:
        *lo = INFINITY;
        *hi = -INFINITY;
        return;
    case TRM_RANGE_BEYOND:
    case TRM_RANGE_WITHIN:
        *lo = a.t[0];
        *hi = trm_window_end(options, a.t[a.count - 1]);
        return;
    case TRM_RANGE_UP_TO:
        *lo = -INFINITY;
        *hi = a.t[a.count - 1];
        return;
    case TRM_RANGE_ALL:
        *lo = -INFINITY;
        *hi = INFINITY;
        return;
    }
}

/* A trm_semihard_window_fn. */
static void window_of(const trm_negatives *semihard, const trm_state *state, int64_t row, int set,
                      trm_thresholds a, double *lo, double *hi)
{
    (void)state;
    (void)row;
    question_window(semihard, set, a, lo, hi);
}

static void window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    trm_semihard_window(query, state, row, window_of, lo, hi);
}

static bool wants(const trm_query *query, const trm_state *state, int64_t row, double lo, double hi)
{
    const trm_thresholds a = trm_thresholds_of(state, row);
    for (int set = 0; set < TRM_QUESTIONS && a.count > 0; set++) {
        double from = INFINITY, to = -INFINITY;
        question_window(query->settings, set, a, &from, &to);
        if (hi >= from && lo <= to)
            return true;
    }
    return false;
}

/* The pairs [first, last) that d is a candidate for. */
typedef struct trm_pairs {
    int64_t first, last;
} trm_pairs;

static trm_pairs pairs_of(const trm_negatives *semihard, trm_range range, const trm_thresholds *a, double d)
{
    const trm_mine_options *options = &semihard->options;
    if (range == TRM_RANGE_NONE)
        return (trm_pairs){0, 0};
    if (range == TRM_RANGE_ALL)
        return (trm_pairs){0, a->count};
    const int64_t behind = trm_window_behind(options, false, a->t, a->count, d);
    if (range == TRM_RANGE_UP_TO)
        return (trm_pairs){behind, a->count};
    if (range == TRM_RANGE_BEYOND)
        return (trm_pairs){0, behind};
    return (trm_pairs){trm_window_behind(options, true, a->t, a->count, d), behind};
}

/* Node i of the tree, from 1 on, is in slot i - 1; its children are 2 i and 2 i + 1, pair i is node count + i. */
static void put_in_tree(trm_draw *node, int64_t count, trm_pairs pairs, trm_draw draw)
{
    for (int64_t from = pairs.first + count, to = pairs.last + count; from < to; from /= 2, to /= 2) {
        if (from % 2 == 1)
            trm_draw_put(&node[from++ - 1], draw);
        if (to % 2 == 1)
            trm_draw_put(&node[--to - 1], draw);
    }
}

static void put(trm_range range, trm_draw *found, int64_t count, trm_pairs pairs, trm_draw draw)
{
    switch (range) {
    case TRM_RANGE_NONE:
        return;
    case TRM_RANGE_BEYOND:
        trm_draw_put(&found[pairs.last - 1], draw);
        return;
    case TRM_RANGE_WITHIN:
        put_in_tree(found, count, pairs, draw);
        return;
    default:
        trm_draw_put(&found[range == TRM_RANGE_ALL ? 0 : pairs.first], draw);
        return;
    }
}

static double key_of(const trm_negatives *semihard, trm_key key, double d, int64_t anchor, int64_t id)
{
    if (key == TRM_KEY_RANDOM)
        return trm_draws_uniform(semihard->options.seed, anchor, id);
    return key == TRM_KEY_NEAR ? d : -d;
}

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *tally)
{
    (void)tally;
    const trm_negatives *semihard = query->settings;
    const trm_thresholds a = trm_thresholds_of(state, row);
    for (int set = 0; set < TRM_QUESTIONS && a.count > 0; set++) {
        const trm_question question = question_of(semihard, set);
        trm_draw *found = found_of(state, set, row);
        for (int64_t i = 0; i < seen->n; i++) {
            const trm_pairs pairs = pairs_of(semihard, question.range, &a, seen->d[i]);
            if (pairs.first >= pairs.last)
                continue;
            const double key = key_of(semihard, question.key, seen->d[i], state->id[row], seen->id[i]);
            put(question.range, found, a.count, pairs, (trm_draw){key, seen->id[i], seen->d[i]});
        }
    }
    return false; /* windows stay as they are */
}

/* The slot of pair i then answers it. */
static void settle(const trm_query *query, trm_state *state, int64_t row, trm_candidate *scratch)
{
    (void)scratch;
    const int64_t count = trm_thresholds_of(state, row).count;
    for (int set = 0; set < TRM_QUESTIONS; set++) {
        const trm_range range = question_of(query->settings, set).range;
        trm_draw *found = found_of(state, set, row);
        if (range == TRM_RANGE_BEYOND)
            for (int64_t i = count - 2; i >= 0; i--)
                trm_draw_put(&found[i], found[i + 1]);
        if (range == TRM_RANGE_UP_TO)
            for (int64_t i = 1; i < count; i++)
                trm_draw_put(&found[i], found[i - 1]);
        if (range == TRM_RANGE_WITHIN)
            for (int64_t node = 2; node < 2 * count; node++)
                trm_draw_put(&found[node - 1], found[node / 2 - 1]);
    }
}

static const trm_query_type type = {
    .name = "semihard, drawn",
    .relation = TRM_OTHER_LABEL,
    .shapes = 1 + TRM_QUESTIONS,
    .fields = TRM_FIELD_BEYOND_THRESHOLDS + TRM_QUESTIONS,
    .field = {TRM_THRESHOLDS_FIELDS,
              {"negatives", TRM_FIELD_FOUND, 1, sizeof(trm_draw), &trm_merge_draw},
              {"fallback", TRM_FIELD_FOUND, 2, sizeof(trm_draw), &trm_merge_draw}},
    .slots = slots,
    .give = trm_thresholds_give,
    .prepare = trm_thresholds_prepare,
    .window = window,
    .wants = wants,
    .offer = offer,
    .settle = settle,
};

/* A trm_semihard_found_fn. */
static bool found_for(const trm_negatives *semihard, const trm_state *state, int64_t row, int set, int64_t i,
                      int64_t *id, double *d)
{
    const trm_range range = question_of(semihard, set).range;
    if (range == TRM_RANGE_NONE)
        return false;
    const int64_t count = trm_thresholds_of(state, row).count;
    const int64_t slot = range == TRM_RANGE_ALL ? 0 : range == TRM_RANGE_WITHIN ? count + i - 1 : i;
    const trm_draw found = found_of(state, set, row)[slot];
    *id = found.id;
    *d = found.d;
    return trm_draw_exists(found);
}

static int64_t answer(const trm_negatives *semihard, const trm_state *state, int64_t row,
                      const trm_candidate *pair, int64_t i, trm_answer *answers)
{
    return trm_semihard_answer(semihard, state, row, pair[i].key, i, found_for, answers);
}

const trm_negatives_policy trm_negatives_semihard_random = {.word = {.name = "semihard"},
                                                            .query = &type,
                                                            .takes = TRM_TAKES_WINDOW | TRM_TAKES_SEED,
                                                            .most = trm_negatives_one,
                                                            .answer = answer};
