/* What the three kinds of files of pairs share; see pair_file.h. Rank 0 looks into the file alone, then all read their
 * shares. */
#ifndef TRM_STORE_PAIR_INNER_H
#define TRM_STORE_PAIR_INNER_H

#include "store/npy.h"
#include "store/pair_file.h"
#include "store/store_inner.h"

enum { TRM_PAIR_QUERY, TRM_PAIR_POSITIVE, TRM_PAIR_COLUMNS };

/* What a user does whose pairs are of ids. */
#define TRM_PAIR_OF_IDS "python3 -m trimine.qrels makes row ids of your own ids"

/* The rows that there are, of each column. */
typedef struct trm_pair_bounds {
    int64_t rows[TRM_PAIR_COLUMNS];
} trm_pair_bounds;

/* Checks a value of a pair, which place ("line", "pair") and number name. is_unsigned: a negative value is a uint64 with
 * these bits. Not collective. Errors: DATA. */
trm_status trm_pair_check(const trm_named_file *about, const trm_pair_bounds *bounds, int column,
                          int64_t value, bool is_unsigned, const char *place, int64_t number,
                          trm_error *err) TRM_MUST_CHECK;

/* Makes room for so many. Not collective. Errors: MEMORY. */
trm_status trm_pairs_reserve(trm_pairs *pairs, int64_t count, trm_error *err) TRM_MUST_CHECK;

/* ---- text (pair_text.c) ---- */

/* Reads pairs from a text of so many bytes, checked: each rank those whose lines begin in its part of the bytes. Fills in
 * all of *pairs. Collective. Errors: as trm_pairs_read, agreed. */
trm_status trm_pair_text_read(MPI_Comm comm, const trm_named_file *about, int64_t bytes,
                              const trm_pair_bounds *bounds, trm_pairs *pairs, trm_error *err) TRM_MUST_CHECK;

/* ---- .npy (pair_npy.c) ---- */

/* Looks at an open file of so many bytes. Not collective. Errors: IO, DATA. */
trm_status trm_pair_npy_look(const trm_named_file *about, int file, int64_t bytes, trm_npy *array,
                             trm_element *element, trm_error *err) TRM_MUST_CHECK;
/* Reads pairs [first, first + count) of *pairs, for which there is room, unchecked. Not collective. Errors: IO, DATA. */
trm_status trm_pair_npy_read(const trm_named_file *about, const trm_npy *array, const trm_element *element,
                             trm_pairs *pairs, trm_error *err) TRM_MUST_CHECK;

#endif
