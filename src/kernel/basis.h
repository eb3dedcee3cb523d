/* An orthonormal basis whose leading directions hold as much of the rows as few directions can: what the kernels
 * "prefix" and "prefix8" turn rows by. Any basis gives the right results; a good one rules out more.
 *
 * The directions are float32 vectors: the leading eigenvectors of a sample's second moments, where there are many dimensions
 * by a randomized subspace iteration (Halko, Martinsson and Tropp, 2011). How far they are from orthonormal is measured and enters the error bounds. Not collective. One machine
 * makes the same basis of the same sample; ranks on different machines may not, so one of them makes it for all. */
#ifndef TRM_KERNEL_BASIS_H
#define TRM_KERNEL_BASIS_H

#include "kernel/kernel.h"

struct trm_basis {
    int dim;
    int widths;       /* directions there are */
    int width;        /* how many of them the sample says are best to look at first */
    double defect;    /* at least the Frobenius norm of Q'Q - I; so it is for the leading directions alone */
    float *direction; /* trm_basis_most(dim) x dim, row-major: a direction each, the leading one first */
};

/* Directions that a basis of rows of so many dimensions has at most; at least 1. */
int trm_basis_most(int dim);

/* The widest that a chain looks at first. */
int trm_basis_widest(int dim);

/* How many of that many rows are a good sample. */
int64_t trm_basis_sample(int64_t rows, int dim);

/* In how many directions rows lie, from a sample of them (as below): 1 where all is in one, about the dimension where
 * no direction holds more than another. It is E(|y|^2)^2 / E(<y_i, y_j>^2) of rows less their mean, i != j, the "participation
 * ratio" of the eigenvalues of their covariance, and takes a small part of the time of a basis. Errors: MEMORY. */
trm_status trm_basis_directions(const float *sample, const double *norm2, int64_t rows, const trm_map *map,
                                double *directions, trm_error *err) TRM_MUST_CHECK;

/* From a sample of rows (rows x map->dim, as given, with their canonical squared norms). Rows that are not finite are
 * left out; without any the directions are the first axes. Errors: MEMORY. Owned by the caller. */
trm_status trm_basis_create(const float *sample, const double *norm2, int64_t rows, const trm_map *map,
                            trm_basis **basis, trm_error *err) TRM_MUST_CHECK;
void trm_basis_destroy(trm_basis **basis);

/* The widths that are worth a trial: the i-th, ascending; 0 past the last. */
int trm_basis_candidate(const trm_basis *basis, int i);

/* Multiplications that making one takes, as fast as those of a sweep, about. */
double trm_basis_work(int64_t rows, int dim);

/* Bytes of a basis, and what making one of a sample of that many rows takes besides. */
int64_t trm_basis_bytes(int dim);
int64_t trm_basis_scratch_bytes(int64_t rows, int dim);

#endif
