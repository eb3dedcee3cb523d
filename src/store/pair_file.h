/* Files of pairs (query row, store row): which rows of a store are positives of which queries. HDF5 with datasets /query
 * and /positive of any integer type, a NumPy array (.npy) of integers of P rows and two columns, or text with two
 * numbers a line; told apart by what is in the file, not by its name. */
#ifndef TRM_STORE_PAIR_FILE_H
#define TRM_STORE_PAIR_FILE_H

#include "base/error.h"

#include <mpi.h>
#include <stdint.h>

/* This rank's share of a list of pairs, in the file's order: rank r's follow rank r - 1's. A query may have several, and
 * a pair may be there twice. */
typedef struct trm_pairs {
    int64_t total, first, count; /* of all ranks; number of this rank's first; this rank's */
    int64_t *query, *positive;   /* count each, owned */
} trm_pairs;

/* Reads a list, which may be empty, for so many queries and rows of a store. Collective. The caller owns what is in
 * *pairs (trm_pairs_free), which is empty after a failure. Errors: NO_INPUT, PERMISSION, IO, MEMORY; DATA: a file of
 * another kind, another type or shape, lines that are no pairs, and rows out of range; the first of these in the file's
 * order is named, by its line, or by the pair's number, from 0 on. */
trm_status trm_pairs_read(MPI_Comm comm, const char *path, int64_t queries, int64_t store_rows,
                          trm_pairs *pairs, trm_error *err) TRM_MUST_CHECK;

/* Frees and empties. Not collective. */
void trm_pairs_free(trm_pairs *pairs);

#endif
