/* The metrics of one query from the ranks of its relevant rows, and the texts that say which. docs/evaluation.md has the
 * formulas. */
#ifndef TRM_EVAL_SCORES_H
#define TRM_EVAL_SCORES_H

#include "base/error.h"
#include "base/word.h"
#include "trimine/eval.h"

/* The values of trm_eval_values as one array: a metric is four of them in front, or TRM_EVAL_AT further on. */
enum { TRM_SCORES = sizeof(trm_eval_values) / sizeof(double) };

/* How ties are broken. */
typedef enum trm_ties { TRM_TIES_BY_ID, TRM_TIES_AGAINST, TRM_TIES_FOR, TRM_TIES } trm_ties;

typedef struct trm_scores {
    unsigned metrics; /* a bit each, by their words' value */
    int at_count;
    int64_t at[TRM_EVAL_AT]; /* ascending */
    int count;               /* values that are asked for, and their places among all */
    int place[TRM_SCORES];
    int64_t ranks;    /* in both tables, which begin at rank 0 */
    double *discount; /* 1 / log2(rank + 1) */
    double *ideal;    /* their sums up to a rank */
} trm_scores;

/* A query's values; those that are not asked for are not set. */
typedef struct trm_scored {
    double value[TRM_TIES][TRM_SCORES];
} trm_scored;

/* Reads both texts. Nothing is owned yet. Errors: USAGE. */
trm_status trm_scores_choose(trm_scores *scores, const char *at, const char *metrics,
                             trm_error *err) TRM_MUST_CHECK;
/* Relevant rows that must be known of a query; INT64_MAX: all. */
int64_t trm_scores_needed(const trm_scores *scores);
/* The last rank that decides something; does the number of a query's relevant rows count, too? */
int64_t trm_scores_limit(const trm_scores *scores, bool *to_relevant);
/* Makes the tables for a store of so many rows; bytes that they take. Errors: MEMORY. */
trm_status trm_scores_begin(trm_scores *scores, int64_t rows, trm_error *err) TRM_MUST_CHECK;
int64_t trm_scores_bytes(const trm_scores *scores, int64_t rows);
void trm_scores_free(trm_scores *scores);

/* relevant > 0, and query->count > 0. */
void trm_scores_of(const trm_scores *scores, const trm_eval_query *query, trm_scored *scored);
/* Does any value depend on how ties are broken? */
bool trm_scores_are_tied(const trm_scores *scores, const trm_scored *scored);
/* All NAN. */
void trm_scores_clear(trm_eval_values *values);
/* In the order of trm_eval_values. */
double *trm_scores_array(trm_eval_values *values);

#endif
