/* How what two places found for the same slots becomes one: a table of merges.
 *
 * Each is associative and commutative, so it does not matter which rank or thread saw what, or in which order.
 * Slots belong to rows: row i of those that are merged owns slots [offset[i], offset[i + 1]). */
#ifndef TRM_BASE_MERGE_H
#define TRM_BASE_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct trm_merge {
    const char *name;
    size_t bytes; /* of a slot */
    /* May the same thing be merged twice? If not, whoever works apart starts from cleared slots, and what it
     * found is merged once. */
    bool idempotent;
    /* Slots in which nothing was found. */
    void (*clear)(void *slots, int64_t count);
    /* into and from begin with slot offset[0]. */
    void (*merge)(void *into, const void *from, int64_t rows, const int64_t *offset);
} trm_merge;

/* Slots are trm_candidate: the smaller one by (key, id). */
extern const trm_merge trm_merge_min;
/* Slots are trm_candidate; a row's are one ascending list, padded with TRM_NO_CANDIDATE: the smallest of both
 * lists, a candidate that is in both once. */
extern const trm_merge trm_merge_list;
/* Slots are trm_candidate, those found first, in any order: all of both, of which nothing may be in both. A row
 * has as many slots as there are to be found. */
extern const trm_merge trm_merge_gather;
/* The same two of trm_draw. */
extern const trm_merge trm_merge_draw, trm_merge_draw_list;
/* Slots are int64_t: their sums. */
extern const trm_merge trm_merge_sum;

#endif
