/* What triplets cost: the sum of a loss over triplets that are given one by one, and its gradient at some rows.
 *
 * The sum is exact. The gradient of a row is a sum over the rows that it is paired with, in the order that docs/LOSSES.md says, so
 * that it can be compared bit for bit; for each drawn row its pairs are kept, 32 bytes each. */
#ifndef TRM_VERIFY_COST_H
#define TRM_VERIFY_COST_H

#include "base/exact_sum.h"
#include "verify/census.h"
#include "verify/triplets.h"

/* Whose gradient, by pairs with whose rows, in the order of adding. Of one set there is the last alone. */
typedef enum trm_cost_list {
    TRM_QUERIES_BY_STORE,
    TRM_STORE_BY_QUERIES,
    TRM_STORE_BY_STORE,
    TRM_COST_LISTS
} trm_cost_list;

typedef struct trm_cost_pair {
    int64_t row, label, other; /* label: of other, where rows are added by label first; else 0 */
    double weight;
} trm_cost_pair;

typedef struct trm_cost {
    const trm_view *view;     /* borrowed */
    const trm_census *census; /* borrowed, of a loss of all triplets; else NULL */
    trm_exact_sum sum;
    int64_t count, active;
    /* with a gradient: rows that are drawn of the store, of the queries, ascending */
    int64_t drawn_count[2], *drawn[2];
    struct {
        trm_cost_pair *pair;
        int64_t count, room;
    } list[TRM_COST_LISTS];
    float *x[2]; /* room for a row each */
} trm_cost;

/* sample: rows that are drawn of each set by seed, at most; 0: no gradient is wanted. Not collective. The caller frees, also
 * after a failure. Errors: MEMORY. */
trm_status trm_cost_begin(const trm_view *view, int64_t sample, uint64_t seed, trm_cost *cost,
                          trm_error *err) TRM_MUST_CHECK;
void trm_cost_free(trm_cost *cost);

/* Adds the loss of a triplet whose pairs have these distances, the one that pulls and the one that pushes. Returns the derivative
 * by the difference of the two. */
double trm_cost_count(trm_cost *cost, double d_near, double d_far);
/* Adds a triplet. A taker (triplets.h) whose context is the cost. Not collective. Errors: MEMORY, as trm_store_read. */
trm_status trm_cost_add(void *cost, const trm_triplet *triplet, trm_error *err) TRM_MUST_CHECK;
/* Adds all triplets of an anchor of the group, or those that are within the rule's. Errors: MEMORY. */
trm_status trm_cost_add_all(trm_cost *cost, const trm_group *group, const trm_anchor *anchor,
                            trm_error *err) TRM_MUST_CHECK;

/* weight * dd(x,y)/dx = a x + b y, for rows at distance d with dot g. */
typedef struct trm_cost_term {
    double a, b;
} trm_cost_term;
trm_cost_term trm_cost_term_of(trm_metric metric, double weight, double d, double g, double norm2_x,
                               double norm2_y);
/* sum += a x + b y. */
void trm_cost_add_term(trm_cost_term term, const float *x, const float *y, int dim, double *sum);
/* A row's gradient from its sum, which is changed: divided, through the normalisation, and rounded once. */
void trm_cost_round(const trm_rule *rule, double *sum, const float *x, int dim, int64_t divisor, double norm,
                    float *gradient);

/* What a reduction divides by. */
typedef struct trm_divisors {
    int64_t valid, rows;
} trm_divisors;

/* Brings sums and pairs of all ranks together. Collective. Errors: MEMORY. */
trm_status trm_cost_merge(MPI_Comm comm, trm_cost *cost, trm_error *err) TRM_MUST_CHECK;
/* What the rule's reduction divides by; the loss. After merging. */
int64_t trm_cost_divisor(const trm_cost *cost, const trm_divisors *by);
double trm_cost_value(const trm_cost *cost, const trm_divisors *by);
/* Compares the gradient of the drawn rows with the result, after merging; *rows: how many. Collective. Errors: DATA: the first
 * that differs; MEMORY, IO. */
trm_status trm_cost_compare(MPI_Comm comm, trm_cost *cost, const trm_divisors *by, trm_result *result,
                            int64_t *rows, trm_error *err) TRM_MUST_CHECK;

#endif
