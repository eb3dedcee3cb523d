/* The gradient of a loss on triplets, as a sum over pairs of rows: weight times one pair term.
 *
 * A triplet loss depends on distances, so its gradient is a sum of dd(i,j)/dx_i, each times how often the
 * pair is an active (anchor, positive) less how often it is an active (anchor, negative). What travels is (i,
 * j, weight), not vectors. Row i's owner adds its terms in ascending j as the rows j pass by.
 *
 * Rows i are of one set, rows j of the same or of another: those of each set j are a list of weights of their own. */
#ifndef TRM_LOSS_GRADIENT_H
#define TRM_LOSS_GRADIENT_H

#include "rows/given.h"
#include "trimine/loss.h"

#include <stdbool.h>

/* weight * dd(i,j)/dx_i is a part of the gradient of row i. A pair gives two: for i and for j. */
typedef struct trm_weight {
    int64_t i, j;
    double weight;
} trm_weight;

typedef struct trm_gradient trm_gradient;

enum { TRM_GRADIENT_LISTS = 2 };

/* The gradient of the rows `of`; list k, of at most TRM_GRADIENT_LISTS, has pairs with the rows by[k], and is added
 * after list k - 1. integers: all weights are whole numbers, so that equal pairs may be added up early. Rows are
 * borrowed, and have one dim. Collective. Errors: MEMORY. */
trm_status trm_gradient_create(const trm_given *of, int lists, const trm_given *const *by, trm_metric metric,
                               bool integers, trm_gradient **gradient, trm_error *err) TRM_MUST_CHECK;
void trm_gradient_destroy(trm_gradient **gradient);

/* Takes count weights of a list from this rank, of any rows; they are reordered. Collective. Errors: MEMORY. */
trm_status trm_gradient_add(trm_gradient *gradient, int list, trm_weight *weights, int64_t count,
                            trm_error *err) TRM_MUST_CHECK;

/* out: count x dim of this rank's rows: the sums over denominator (0: all zero), through the normalisation
 * where norms (count) are given, rounded once. Collective. Errors: MEMORY. */
trm_status trm_gradient_finish(trm_gradient *gradient, int64_t denominator, const double *norms, float *out,
                               trm_error *err) TRM_MUST_CHECK;

/* One row's float64 sums to float32, as above. Not collective. */
void trm_gradient_round(double *sum, const float *x, int dim, int64_t denominator, const double *norm,
                        float *out);

/* The first of the rows that has a value beyond float32, or -1. Not collective. */
int64_t trm_gradient_unfit(const float *gradient, int64_t rows, int dim);

/* Norm and largest value of gradients in `arrays` arrays of size[k] values, of all ranks into summary and of
 * this one into part. Sums of squares are exact. Collective. */
void trm_gradient_measure(MPI_Comm comm, int arrays, float *const *gradient, const int64_t *size,
                          trm_loss_summary *summary, trm_loss_part *part);

#endif
