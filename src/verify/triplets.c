/* The rules of mining, as they are written; see triplets.h. Everything is a sorted list and a walk along it. */
#include "verify/triplets.h"

#include "base/alloc.h"
#include "base/random.h"
#include "metric/metric.h"

#include <math.h>
#include <string.h>

static const int64_t no_row = -1; /* the positive of an anchor that has none, with --lone */

/* An anchor being decided. */
typedef struct decision {
    const trm_group *group;
    const trm_rule *rule;
    const trm_anchor *anchor;
    trm_other *positive, *negative; /* selected positives; all negatives by (d, id) */
    int64_t positives, negatives;
    double farthest;   /* d of the farthest selected positive */
    trm_other *chosen; /* what the pair at hand gets, place is the rank */
    int64_t chosen_count;
    int64_t kind;
} decision;

static bool is(const char *word, const char *name)
{
    return trm_rule_is(word, name);
}

/* u(a, n), as the README has it. */
static double draw(const decision *of, int64_t id)
{
    uint32_t bits[4];
    trm_random_bits(of->group->of.seed, (uint64_t)of->anchor->id, (uint64_t)id, bits);
    return ((double)(((uint64_t)bits[0] << 32 | bits[1]) >> 11) + 0.5) * 0x1p-53;
}

/* ---- which positives ---- */

static void select_positives(decision *of)
{
    const char *word = of->rule->positives;
    int64_t k = (int64_t)of->rule->positives_number;
    if (is(word, "all"))
        return;
    for (int64_t i = 0; i < of->positives; i++) {
        trm_other *positive = &of->positive[i];
        positive->key = is(word, "hardest")  ? -positive->d
                        : is(word, "random") ? draw(of, positive->id)
                                             : positive->d;
    }
    trm_other_sort(of->positive, of->positives, trm_other_by_key);
    k = is(word, "hardest") || is(word, "easiest") ? 1 : k;
    of->positives = of->positives < k ? of->positives : k;
}

static double farthest_of(const decision *of)
{
    double d = of->positives > 0 ? of->positive[0].d : 0.0;
    for (int64_t i = 1; i < of->positives; i++)
        d = of->positive[i].d > d ? of->positive[i].d : d;
    return d;
}

/* ---- semihard ---- */

/* The first negative that is farther than d. */
static int64_t beyond(const decision *of, double d)
{
    int64_t low = 0, high = of->negatives;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (of->negative[middle].d > d)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Of [from, to) the one that a pick or a fallback takes; the lowest row id of equal ones. */
static int64_t pick(const decision *of, const char *word, int64_t from, int64_t to)
{
    int64_t best = from;
    if (is(word, "nearest") || is(word, "hardest"))
        return from;
    if (is(word, "random")) {
        double least = INFINITY;
        for (int64_t i = from; i < to; i++) {
            const double u = draw(of, of->negative[i].id);
            if (u < least || (u == least && of->negative[i].id < of->negative[best].id)) {
                least = u;
                best = i;
            }
        }
        return best;
    }
    for (best = to - 1; best > from && of->negative[best - 1].d == of->negative[to - 1].d; best--)
        ;
    return best;
}

static void choose_semihard(decision *of, const trm_other *positive)
{
    const trm_rule *rule = of->rule;
    const int64_t from = beyond(of, positive->d);
    int64_t to = from, found = -1;
    while (to < of->negatives && trm_rule_in_window(rule, positive->d, of->negative[to].d))
        to++;
    of->kind = from == to;
    of->chosen_count = 0;
    if (from < to)
        found = pick(of, rule->pick, from, to);
    else if (is(rule->fallback, "farthest-inside"))
        found = from > 0 ? pick(of, "farthest", 0, from) : -1;
    else if (!is(rule->fallback, "skip"))
        found = pick(of, rule->fallback, 0, of->negatives);
    if (found < 0)
        return;
    of->chosen[0] = of->negative[found];
    of->chosen[0].place = 1;
    of->chosen_count = 1;
}

/* ---- sets ---- */

static bool in_set(const decision *of, const trm_other *positive, const trm_other *negative)
{
    const char *word = of->rule->negatives;
    const double gap = negative->d - positive->d, margin = of->rule->margin;
    if (is(word, "within-margin"))
        return gap > 0.0 && gap <= margin;
    if (is(word, "hard-all"))
        return gap <= 0.0;
    if (is(word, "easy-all"))
        return gap > margin;
    if (is(word, "violating"))
        return gap <= margin;
    const trm_metric metric = of->rule->metric; /* multisimilarity */
    const double epsilon = of->rule->negatives_number;
    return trm_similarity(metric, positive->d) - epsilon < trm_similarity(metric, of->negative[0].d) &&
           trm_similarity(metric, negative->d) + epsilon > trm_similarity(metric, of->farthest);
}

static void choose_set(decision *of, const trm_other *positive)
{
    of->chosen_count = 0;
    for (int64_t i = 0; i < of->negatives; i++)
        if (in_set(of, positive, &of->negative[i])) {
            of->chosen[of->chosen_count] = of->negative[i];
            of->chosen[of->chosen_count].place = of->chosen_count + 1;
            of->chosen_count++;
        }
}

/* ---- hard, topk, random, weighted: of the anchor, of what ranks and filters leave ---- */

static bool passes_distance(const decision *of, double d)
{
    const double *filter = of->rule->filter, r = filter[TRM_FILTER_RELATIVE_MARGIN];
    const trm_metric metric = of->rule->metric;
    if (d < filter[TRM_FILTER_MIN_DISTANCE] || d > filter[TRM_FILTER_MAX_DISTANCE] ||
        d < of->farthest + filter[TRM_FILTER_ABSOLUTE_MARGIN]) /* none of these with NAN */
        return false;
    if (isnan(r))
        return true;
    if (metric == TRM_METRIC_SQL2 || metric == TRM_METRIC_L2)
        return d >= of->farthest * (1.0 + r);
    const double s = trm_similarity(metric, of->farthest);
    return trm_similarity(metric, d) <= s - fabs(s) * r;
}

/* Is the row farther than the bound from every selected positive? x: room for a row. */
static trm_status passes_positives(const decision *of, int64_t id, float *x, bool *passes, trm_error *err)
{
    const trm_view *view = of->group->view;
    const double bound = of->rule->filter[TRM_FILTER_NOT_NEAR_POSITIVE];
    const int dim = view->dim;
    *passes = true;
    if (isnan(bound))
        return TRM_OK;
    trm_status status = trm_view_row(view, false, id, x, NULL, NULL, err);
    const double norm2 = status == TRM_OK ? trm_dot(x, x, dim) : 0.0;
    for (int64_t i = 0; i < of->positives && status == TRM_OK && *passes; i++) {
        if (of->positive[i].id == no_row)
            continue;
        const float *p = of->anchor->positive_x + of->positive[i].place * dim;
        *passes = trm_distance(of->rule->metric, p, trm_dot(p, p, dim), x, norm2, dim, NULL) > bound;
    }
    return status;
}

/* Is negative i among the nearest rows of all, the positives among them, that may be chosen? */
static bool is_shortlisted(const decision *of, int64_t i)
{
    int64_t nearer = i;
    for (int64_t p = 0; p < of->positives && of->group->of.shortlist < INT64_MAX; p++)
        nearer +=
            of->positive[p].id != no_row && trm_other_by_distance(&of->positive[p], &of->negative[i]) < 0;
    return nearer < of->group->of.shortlist;
}

/* What may be chosen from, nearest first, until there are enough. */
static trm_status gather(decision *of, int64_t enough, float *x, trm_error *err)
{
    const trm_rule *rule = of->rule;
    const int64_t last = of->group->of.rank_last;
    const bool after = rule->ranks_after || of->group->of.shortlist < INT64_MAX; /* of a shortlist always */
    int64_t left = 0;
    trm_status status = TRM_OK;
    of->chosen_count = 0;
    for (int64_t i = 0; i < of->negatives && status == TRM_OK && of->chosen_count < enough; i++) {
        const trm_other *negative = &of->negative[i];
        bool passes = passes_distance(of, negative->d);
        if (!is_shortlisted(of, i) || (after && left >= last))
            break;
        if (!after && (i + 1 < rule->rank_first || i + 1 > last))
            continue;
        if (passes)
            status = passes_positives(of, negative->id, x, &passes, err);
        if (!passes)
            continue;
        left++;
        if (!after || left >= rule->rank_first)
            of->chosen[of->chosen_count++] = *negative;
    }
    return status;
}

/* Distance weighted sampling, Wu et al. 2017: the smallest (log(-log u) - log w, id). */
static double race_key(const decision *of, const trm_other *negative, const float *other)
{
    const trm_view *view = of->group->view;
    const int dim = view->dim;
    double d = of->rule->metric == TRM_METRIC_COSINE ? sqrt(2.0 * negative->d)
               : of->rule->metric == TRM_METRIC_L2   ? negative->d
                                                     : sqrt(negative->d);
    if (of->rule->metric == TRM_METRIC_DOT)
        d = trm_distance(TRM_METRIC_L2, of->anchor->x, of->anchor->norm2, other, trm_dot(other, other, dim),
                         dim, NULL);
    if (d >= 1.4)
        return INFINITY;
    d = d > 0.5 ? d : 0.5;
    const double log_weight = (2.0 - dim) * log(d) - (dim - 3.0) / 2.0 * log(1.0 - d * d / 4.0);
    return log(-log(draw(of, negative->id))) - log_weight;
}

static trm_status race(decision *of, float *x, trm_error *err)
{
    const bool weighted = is(of->rule->negatives, "weighted");
    int64_t kept = 0;
    trm_status status = TRM_OK;
    for (int64_t i = 0; i < of->chosen_count && status == TRM_OK; i++) {
        trm_other one = of->chosen[i];
        if (weighted && of->rule->metric == TRM_METRIC_DOT)
            status = trm_view_row(of->group->view, false, one.id, x, NULL, NULL, err);
        one.key = status != TRM_OK ? 0.0 : weighted ? race_key(of, &one, x) : draw(of, one.id);
        if (!isinf(one.key))
            of->chosen[kept++] = one;
    }
    of->chosen_count = kept;
    trm_other_sort(of->chosen, kept, trm_other_by_key);
    return status;
}

static trm_status choose_for_anchor(decision *of, trm_error *err)
{
    const bool draws = is(of->rule->negatives, "random") || is(of->rule->negatives, "weighted");
    const int64_t k = trm_rule_most(of->rule);
    float *x = trm_alloc(of->group->view->dim, sizeof *x);
    trm_status status = x == NULL ? trm_fail_memory(err, "a row", of->group->view->dim, sizeof *x)
                                  : gather(of, draws ? INT64_MAX : k, x, err);
    if (status == TRM_OK && draws)
        status = race(of, x, err);
    trm_free(x);
    of->chosen_count = of->chosen_count < k ? of->chosen_count : k;
    for (int64_t i = 0; i < of->chosen_count; i++)
        of->chosen[i].place = i + 1;
    return status;
}

/* ---- an anchor ---- */

/* Are all pairs of an anchor given the same negatives? */
static bool goes_by_anchor(const trm_rule *rule)
{
    static const char *const words[] = {"hard", "topk", "random", "weighted"};
    bool found = false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        found = found || is(rule->negatives, words[i]);
    return found;
}

/* Of (anchor, positive). */
static trm_status decide_pair(decision *of, const trm_other *positive, bool by_rank, const trm_taker *to,
                              trm_error *err)
{
    trm_status status = TRM_OK;
    if (is(of->rule->negatives, "semihard"))
        choose_semihard(of, positive);
    else if (!goes_by_anchor(of->rule))
        choose_set(of, positive);
    if (!by_rank)
        trm_other_sort(of->chosen, of->chosen_count, trm_other_by_id);
    for (int64_t i = 0; i < of->chosen_count && status == TRM_OK; i++) {
        const trm_triplet right = {of->anchor->id,  positive->id, of->chosen[i].id,   positive->d,
                                   of->chosen[i].d, of->kind,     of->chosen[i].place};
        status = to->take(to->context, &right, err);
    }
    return status;
}

static trm_status decide_all(decision *of, bool by_rank, const trm_taker *to, trm_error *err)
{
    trm_status status = TRM_OK;
    if (of->negatives == 0)
        of->positives = 0;
    select_positives(of);
    of->farthest = farthest_of(of);
    if (of->positives > 0 && goes_by_anchor(of->rule))
        status = choose_for_anchor(of, err);
    trm_other_sort(of->positive, of->positives, trm_other_by_id);
    for (int64_t i = 0; i < of->positives && status == TRM_OK; i++)
        status = decide_pair(of, &of->positive[i], by_rank, to, err);
    return status;
}

trm_status trm_triplets_of(const trm_group *group, const trm_anchor *anchor, bool by_rank,
                           const trm_taker *to, trm_error *err)
{
    decision of = {.group = group,
                   .rule = group->view->rule,
                   .anchor = anchor,
                   .positive = anchor->other,
                   .negative = trm_anchor_negatives(group, anchor),
                   .positives = anchor->positives,
                   .negatives = anchor->negatives};
    trm_other none = {0.0, 0.0, no_row, 0};
    if (of.positives == 0 && of.rule->lone) {
        of.positive = &none;
        of.positives = !anchor->ignored;
    }
    of.chosen = trm_alloc(of.negatives, sizeof *of.chosen);
    trm_status status = of.chosen == NULL ? trm_fail_memory(err, "negatives", of.negatives, sizeof *of.chosen)
                                          : decide_all(&of, by_rank, to, err);
    trm_free(of.chosen);
    return status;
}

const char *trm_triplets_undecided(const trm_rule *rule)
{
    static const char *const positives[] = {"all", "hardest", "easiest", "nearest", "random"},
                             *const negatives[] = {"semihard",  "hard",           "topk",     "random",
                                                   "weighted",  "hard-all",       "easy-all", "within-margin",
                                                   "violating", "multisimilarity"};
    bool known = false, known_too = false;
    for (size_t i = 0; i < sizeof positives / sizeof *positives; i++)
        known = known || is(rule->positives, positives[i]);
    for (size_t i = 0; i < sizeof negatives / sizeof *negatives; i++)
        known_too = known_too || is(rule->negatives, negatives[i]);
    if (!is(rule->shortlist, "none") && !is(rule->shortlist, "st-mine"))
        return "its shortlist is not known here";
    if (!known || !known_too)
        return "its policy of positives or negatives is not known here";
    if (!isnan(rule->filter[TRM_FILTER_NOT_NEAR_POSITIVE]) && rule->rank_last == INT64_MAX &&
        is(rule->shortlist, "none") && (is(rule->negatives, "random") || is(rule->negatives, "weighted")))
        return "a draw with --not-near-positive and without a last rank would compare too many rows one by "
               "one";
    return NULL;
}
