/* The losses by brute force: every triplet in a list, every distance in a table, one term after the other in
 * float64.
 *
 * Shares no code with the library, so that a mistake in one shows in the other. Where the rules fix the order
 * of the operations, this is that order, so values and the gradients of lists must be equal to the bit.
 * Cubic: small stores only. All functions stop the program when out of memory. */
#ifndef TESTS_SUPPORT_REFERENCE_LOSS_H
#define TESTS_SUPPORT_REFERENCE_LOSS_H

#include "support/reference.h"
#include "trimine/loss.h"

#include <stdbool.h>
#include <stdint.h>

/* One triplet in the loss, with what the gradient takes as constant. */
typedef struct reference_term {
    trm_triplet triplet; /* positive -1: none; d_an is the anchor's, also where swapped */
    int64_t from;        /* the row whose distance to the negative counts: the anchor, or the positive */
    double z;
    bool active;
} reference_term;

typedef struct reference_loss {
    trm_loss_options options;
    int64_t rows, counted; /* counted: the denominator of mean_rows */
    int dim;
    reference_term *terms; /* owned */
    int64_t count, active, valid;
    double sum, mean_all, mean_nonzero, mean_valid, mean_rows, value;
    double *gradient; /* rows x dim, of value, not yet rounded to float32; owned */
    double *size;     /* rows: sum of |a x_i[k]| + |b x_j[k]| over all pairs' terms a x_i + b x_j, for the k
                       * where it is largest: what rounding is relative to; owned */
} reference_loss;

/* The triplets of a source (of TRM_SOURCE_GIVEN: options->given with their distances, in that order), owned
 * by the caller. */
trm_triplet *reference_loss_triplets(const reference_store *store, const trm_evaluate_options *options,
                                     int64_t *count);

/* norms: rows, NULL or of the rows before they were normalised. The caller owns *loss. */
void reference_loss_evaluate(const reference_store *store, const trm_evaluate_options *options,
                             const double *norms, reference_loss *loss);
/* The same of two sets, whose rows are in one store, first those that are queries, then the others; options->given has
 * the triplets, with row ids of each set, from 0; a positive of -1 is none. Valid queries are counted by label, or by
 * options->mine.pairs, or where there are none, as those that are anchors. What is found is of the rows of both, as they
 * are in the store, which is also the order that terms are added in. */
void reference_loss_of_two_sets(const reference_store *both, int64_t queries, bool by_label,
                                const trm_evaluate_options *options, const double *norms,
                                reference_loss *loss);
void reference_loss_destroy(reference_loss *loss);

/* The value at other rows (rows x dim, float64), by distances that are computed another way. Triplets and
 * denominators are those of loss; so are its choices (active or not, whose distance to the negative) where
 * frozen, else they are made anew. normalize: the rows are x, the loss is of x / |x|. */
double reference_loss_at(const reference_loss *loss, const double *x, bool normalize, bool frozen);

/* A small step of rows could cross it: hinge at 0, swapped sides that tie, rows in one place. */
bool reference_loss_near_a_kink(const reference_store *store, const reference_loss *loss);
/* Largest |central difference - gradient| over 1 + the row's size, or how far the value itself is off. x: the rows as
 * they are stored; the rest as above. */
double reference_loss_difference(const reference_loss *loss, const float *x, bool normalize, bool frozen);

/* x / |x|, each element rounded once; norms: rows. No row may be zero. */
void reference_normalize(const reference_store *store, float *out, double *norms);

#endif
