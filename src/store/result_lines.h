/* The lines of a result of mine, in either form, as triplets, piece by piece. */
#ifndef TRM_STORE_RESULT_LINES_H
#define TRM_STORE_RESULT_LINES_H

#include "store/result_read.h"

/* A triplet, and where it is. */
typedef struct trm_lined {
    trm_triplet triplet;
    int64_t line, batch; /* batch: 0 where there are none */
} trm_lined;

typedef struct trm_result_lines {
    trm_result *result; /* borrowed */
    trm_form form;
    int64_t lines, k; /* k: negatives a line, 1 of triplets */
    bool batched;
    int64_t batches;
    trm_result_array column[TRM_COLUMNS], batch; /* those that the form has */
    int64_t piece;                               /* lines that are read at a time, at most */
    void *buffer;                                /* a column of a piece */
    trm_lined *lined;                            /* triplets of the piece that was read last */
    int64_t lined_count;
} trm_result_lines;

/* None of these is collective. */

/* Is it a result of mine? */
bool trm_result_has_lines(const trm_result *result);
/* Looks the datasets up. The caller closes, also after a failure. Errors: DATA, MEMORY. */
trm_status trm_result_lines_open(trm_result *result, trm_result_lines *lines, trm_error *err) TRM_MUST_CHECK;
void trm_result_lines_close(trm_result_lines *lines);
/* Reads lines [first, first + count), at most a piece, to lined. Of lists a triplet's rank is its place, its kind 0, and
 * places without a negative are left out. Errors: IO; DATA: a list that goes on behind its end. */
trm_status trm_result_lines_read(trm_result_lines *lines, int64_t first, int64_t count,
                                 trm_error *err) TRM_MUST_CHECK;

#endif
