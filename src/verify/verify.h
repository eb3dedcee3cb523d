/* Is a result what its options say of its store? Everything about the file is looked at once: that it is complete, its
 * fingerprints, shapes, ranges, order and hash. Some anchors are decided anew.
 *
 * Deciding anew shares no code with what mined: no kernel, no sweep, no policy. It reads the rows from the store in pieces, takes
 * the distance of an anchor to each of them by the definition (trm_distance of metric/), sorts, and applies the rules as
 * they are written. So it is slow, O(rows x dim) an anchor, and easy to check by eye. */
#ifndef TRM_VERIFY_VERIFY_H
#define TRM_VERIFY_VERIFY_H

#include "base/error.h"
#include "trimine/store.h"

#include <mpi.h>
#include <stdint.h>

/* Borrowed, all of it. */
typedef struct trm_verify_ask {
    const char *result;
    int stores, queries; /* files of the store; of queries, 0: one set */
    const char *const *store, *const *query;
    const char *pairs;             /* NULL: none */
    const char *triplets;          /* of a loss of given triplets: their file; NULL: none */
    const trm_store_options *from; /* where embeddings and labels are in the files */
    int64_t sample;                /* anchors to decide anew, at most */
    uint64_t seed;                 /* which of them are drawn by it */
} trm_verify_ask;

enum { TRM_VERIFY_WHY = 160 };

/* What was looked at, and found right. */
typedef struct trm_verify_found {
    char format[32], fingerprint[33], hash[33]; /* hash: empty where the file has none */
    int64_t rows, dim, askers;                  /* rows of the store; rows that may be anchors */
    int64_t lines;                              /* rows of the datasets of the result */
    int64_t anchors, entries;     /* decided anew; triplets, neighbours, ranks or pairs that they have */
    char why_not[TRM_VERIFY_WHY]; /* why none was; empty: all that were drawn were */
    int64_t gradient;             /* rows whose gradient was decided anew, 0 also where there is none */
    double value;                 /* of a loss that was decided anew; else NAN */
} trm_verify_found;

/* Collective; equal on all ranks, which share out the work. Errors: DATA: the first fault, with file, dataset, row and
 * rule; USAGE: queries or pairs are given to a result that has none, or lack; as trm_result_open, trm_store_open and
 * trm_store_read; MEMORY. */
trm_status trm_verify(MPI_Comm comm, const trm_verify_ask *ask, trm_verify_found *found,
                      trm_error *err) TRM_MUST_CHECK;

#endif
