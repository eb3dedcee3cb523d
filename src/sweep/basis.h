/* A basis for the kernels of a sweep that need one. Inner to sweep/. */
#ifndef TRM_SWEEP_BASIS_H
#define TRM_SWEEP_BASIS_H

#include "kernel/basis.h"
#include "rows/rows.h"
#include "rows/run.h"

/* Does a first look at leading coordinates pay, where rows of so many dimensions lie near so many directions? */
bool trm_sweep_basis_promises(const trm_run *run, double directions, int dim);

/* Of rows at evenly spaced places, the same rows on any number of ranks: rank 0 makes it, all have it. other: of a
 * second set, or the same. if_few: not where the rows lie in so many directions that few of them can't tell much; *basis is NULL
 * then. Collective. Errors: MEMORY. The caller owns *basis. */
trm_status trm_sweep_basis(const trm_run *run, const trm_rows *rows, const trm_rows *other,
                           const trm_map *map, bool if_few, trm_basis **basis, trm_error *err) TRM_MUST_CHECK;

/* Bytes that making it takes for a while on a rank, from that many rows; the basis is not in it. */
int64_t trm_sweep_basis_bytes(int64_t rows, int dim);

#endif
