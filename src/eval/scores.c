/* Metrics from ranks; see scores.h. */
#include "eval/scores.h"

#include "base/alloc.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Metrics are bits. */
enum {
    PRECISION_AT_1 = 1,
    R_PRECISION = 2,
    MAP_AT_R = 4,
    MRR = 8,
    HIT_RATE = 16,
    RECALL = 32,
    PRECISION = 64,
    NDCG = 128,
    BY_R = R_PRECISION | MAP_AT_R,
    BY_K = HIT_RATE | RECALL | PRECISION | NDCG,
    ALL = 255
};

static const trm_word metrics[] = {
    {.name = "all", .value = ALL},
    {.name = "precision_at_1", .value = PRECISION_AT_1},
    {.name = "r_precision", .value = R_PRECISION},
    {.name = "map_at_r", .value = MAP_AT_R},
    {.name = "mrr", .value = MRR},
    {.name = "hit_rate", .value = HIT_RATE},
    {.name = "recall", .value = RECALL},
    {.name = "precision", .value = PRECISION},
    {.name = "ndcg", .value = NDCG},
};
static const trm_words metric_words = TRM_WORDS("metric", metrics);

/* Places in the array of values. */
enum {
    AT_PRECISION_AT_1,
    AT_R_PRECISION,
    AT_MAP_AT_R,
    AT_MRR,
    AT_HIT_RATE,
    AT_RECALL = AT_HIT_RATE + TRM_EVAL_AT,
    AT_PRECISION = AT_RECALL + TRM_EVAL_AT,
    AT_NDCG = AT_PRECISION + TRM_EVAL_AT
};
static_assert(offsetof(trm_eval_values, hit_rate_at) == AT_HIT_RATE * sizeof(double) &&
                  offsetof(trm_eval_values, ndcg_at) == AT_NDCG * sizeof(double) &&
                  TRM_SCORES == AT_NDCG + TRM_EVAL_AT,
              "values are one array");

/* ---- which ---- */

/* One k of a list, at *text, which moves behind it and its comma; 0: none. */
static int64_t read_k(const char **text)
{
    const int64_t most = INT64_C(1) << 40;
    const char *at = *text;
    int64_t k = 0;
    for (; *at >= '0' && *at <= '9' && k <= most; at++)
        k = 10 * k + (*at - '0');
    if (**text == '0' || k > most || (*at != ',' && *at != '\0') || (*at == ',' && at[1] == '\0'))
        return 0;
    *text = *at == ',' ? at + 1 : at;
    return k;
}

static trm_status read_at(trm_scores *scores, const char *given, trm_error *err)
{
    for (const char *text = given; *text != '\0' || scores->at_count == 0;) {
        const int64_t k = read_k(&text);
        if (k == 0 || scores->at_count == TRM_EVAL_AT ||
            (scores->at_count > 0 && k <= scores->at[scores->at_count - 1]))
            return trm_fail(err, TRM_ERR_USAGE,
                            "--at '%s': must be whole numbers from 1 to 2^40, ascending, at most %d, such as "
                            "1,5,10,100",
                            given, TRM_EVAL_AT);
        scores->at[scores->at_count++] = k;
    }
    return TRM_OK;
}

static trm_status read_metrics(trm_scores *scores, const char *given, trm_error *err)
{
    char list[200];
    for (const char *text = given;;) {
        const size_t length = strcspn(text, ",");
        const trm_word *word = trm_word_find(&metric_words, text, length);
        if (word == NULL)
            return trm_fail(err, TRM_ERR_USAGE, "--metrics '%s': must be some of %s, with commas between%s",
                            given, trm_words_list(&metric_words, list, sizeof list),
                            strchr(given, '@') != NULL ? "; what is behind an @ goes into --at" : "");
        scores->metrics |= (unsigned)word->value;
        text += length;
        if (*text++ == '\0')
            return TRM_OK;
    }
}

static void add_place(trm_scores *scores, unsigned metric, int place)
{
    if (scores->metrics & metric)
        scores->place[scores->count++] = place;
}

static void choose_places(trm_scores *scores)
{
    add_place(scores, PRECISION_AT_1, AT_PRECISION_AT_1);
    add_place(scores, R_PRECISION, AT_R_PRECISION);
    add_place(scores, MAP_AT_R, AT_MAP_AT_R);
    add_place(scores, MRR, AT_MRR);
    for (int i = 0; i < scores->at_count; i++) {
        add_place(scores, HIT_RATE, AT_HIT_RATE + i);
        add_place(scores, RECALL, AT_RECALL + i);
        add_place(scores, PRECISION, AT_PRECISION + i);
        add_place(scores, NDCG, AT_NDCG + i);
    }
}

trm_status trm_scores_choose(trm_scores *scores, const char *at, const char *metrics_given, trm_error *err)
{
    *scores = (trm_scores){0};
    trm_status status = read_at(scores, at, err);
    if (status == TRM_OK)
        status = read_metrics(scores, metrics_given, err);
    if (status == TRM_OK)
        choose_places(scores);
    return status;
}

int64_t trm_scores_needed(const trm_scores *scores)
{
    if (scores->metrics & BY_R)
        return INT64_MAX;
    return scores->metrics & BY_K & ~(unsigned)HIT_RATE ? scores->at[scores->at_count - 1] : 1;
}

int64_t trm_scores_limit(const trm_scores *scores, bool *to_relevant)
{
    *to_relevant = (scores->metrics & BY_R) != 0;
    return scores->metrics & BY_K ? scores->at[scores->at_count - 1] : 1;
}

/* ---- tables ---- */

/* log2 of a whole number from 2 on, by nothing but float64 additions, multiplications and divisions, so that it is the same
 * on any machine; a library's need not be. Within 2 units of the last place. */
static double log2_of(double n)
{
    enum { TERMS = 13 };
    int exponent;
    double mantissa = frexp(n, &exponent), sum = 0.0; /* n = mantissa 2^exponent */
    if (mantissa < 0.70710678118654752) {
        mantissa *= 2.0;
        exponent--;
    }
    /* ln m = 2 (s + s^3 / 3 + s^5 / 5 + ...), |s| < 0.172 */
    const double s = (mantissa - 1.0) / (mantissa + 1.0), square = s * s;
    for (int k = TERMS - 1; k >= 0; k--)
        sum = sum * square + 1.0 / (2.0 * k + 1.0);
    return exponent + 2.8853900817779268 * s * sum; /* 2 / ln 2 */
}

/* Ranks that a gain can have. */
static int64_t ranks_of(const trm_scores *scores, int64_t rows)
{
    const int64_t last = scores->at[scores->at_count - 1];
    return scores->metrics & NDCG ? (last < rows ? last : rows) + 1 : 0;
}

int64_t trm_scores_bytes(const trm_scores *scores, int64_t rows)
{
    return 2 * ranks_of(scores, rows) * (int64_t)sizeof(double);
}

trm_status trm_scores_begin(trm_scores *scores, int64_t rows, trm_error *err)
{
    const int64_t ranks = scores->ranks = ranks_of(scores, rows);
    scores->discount = trm_alloc(ranks, sizeof *scores->discount);
    scores->ideal = trm_alloc(ranks, sizeof *scores->ideal);
    if (scores->discount == NULL || scores->ideal == NULL)
        return trm_fail_memory(err, "discounts", ranks, sizeof *scores->discount);
    double sum = 0.0;
    for (int64_t rank = 0; rank < ranks; rank++) {
        scores->discount[rank] = rank > 0 ? 1.0 / log2_of((double)rank + 1.0) : 0.0;
        scores->ideal[rank] = sum += scores->discount[rank];
    }
    return TRM_OK;
}

void trm_scores_free(trm_scores *scores)
{
    trm_free(scores->discount);
    trm_free(scores->ideal);
    scores->discount = scores->ideal = NULL;
}

/* ---- one query ---- */

static int64_t rank_of(const trm_eval_query *query, trm_ties ties, int64_t i)
{
    const trm_eval_rank *rank = &query->rank[i];
    return ties == TRM_TIES_BY_ID ? rank->rank : ties == TRM_TIES_AGAINST ? rank->low : rank->high;
}

/* Ranks ascend, whichever way ties are broken. */
static void score_by_r(const trm_eval_query *query, trm_ties ties, double *value)
{
    const double relevant = (double)query->relevant;
    double precisions = 0.0;
    int64_t hits = 0;
    for (; hits < query->count && rank_of(query, ties, hits) <= query->relevant; hits++)
        precisions += (double)(hits + 1) / (double)rank_of(query, ties, hits);
    value[AT_R_PRECISION] = (double)hits / relevant;
    value[AT_MAP_AT_R] = precisions / relevant;
}

static void score_by_k(const trm_scores *scores, const trm_eval_query *query, trm_ties ties, double *value)
{
    const bool gains = (scores->metrics & NDCG) != 0;
    double gain = 0.0;
    int64_t hits = 0;
    for (int i = 0; i < scores->at_count; i++) {
        const int64_t k = scores->at[i], ideal = query->relevant < k ? query->relevant : k;
        for (; hits < query->count && rank_of(query, ties, hits) <= k; hits++)
            gain += gains ? scores->discount[rank_of(query, ties, hits)] : 0.0;
        value[AT_HIT_RATE + i] = hits > 0 ? 1.0 : 0.0;
        value[AT_RECALL + i] = (double)hits / (double)query->relevant;
        value[AT_PRECISION + i] = (double)hits / (double)k;
        value[AT_NDCG + i] = gains ? gain / scores->ideal[ideal] : 0.0;
    }
}

void trm_scores_of(const trm_scores *scores, const trm_eval_query *query, trm_scored *scored)
{
    for (int ties = 0; ties < TRM_TIES; ties++) {
        const int64_t first = rank_of(query, (trm_ties)ties, 0);
        scored->value[ties][AT_PRECISION_AT_1] = first == 1 ? 1.0 : 0.0;
        scored->value[ties][AT_MRR] = 1.0 / (double)first;
        if (scores->metrics & BY_R)
            score_by_r(query, (trm_ties)ties, scored->value[ties]);
        if (scores->metrics & BY_K)
            score_by_k(scores, query, (trm_ties)ties, scored->value[ties]);
    }
}

bool trm_scores_are_tied(const trm_scores *scores, const trm_scored *scored)
{
    for (int i = 0; i < scores->count; i++)
        if (scored->value[TRM_TIES_AGAINST][scores->place[i]] !=
            scored->value[TRM_TIES_FOR][scores->place[i]])
            return true;
    return false;
}

double *trm_scores_array(trm_eval_values *values)
{
    return &values->precision_at_1;
}

void trm_scores_clear(trm_eval_values *values)
{
    for (int i = 0; i < TRM_SCORES; i++)
        trm_scores_array(values)[i] = NAN;
}
