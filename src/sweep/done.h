/* Which pairs of rows a sweep has done: a set of rectangles in arranged places.
 *
 * Shards and tiles depend on the number of ranks, arranged places don't. So a sweep that was stopped leaves
 * behind rectangles, and one that goes on, perhaps cut in other tiles, asks of each of its tiles what is left
 * of it. A rectangle stands for unordered pairs, {x, y} with x in one range and y in the other; where the ranges
 * are of two sets, for pairs of a row of the first and one of the second. */
#ifndef TRM_SWEEP_DONE_H
#define TRM_SWEEP_DONE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { TRM_BLOCK_MAX = 2048 }; /* rows of a block of tiles, at most */

/* Places [a_first, a_last) with places [b_first, b_last). Four words, as a checkpoint holds it. */
typedef struct trm_rectangle {
    int64_t a_first, a_last, b_first, b_last;
} trm_rectangle;

typedef struct trm_done {
    trm_rectangle *rectangle;
    int64_t count, room;
    bool two_sets;
} trm_done;

/* Adds a rectangle; an empty one is left out. Errors: MEMORY. */
trm_status trm_done_add(trm_done *done, trm_rectangle rectangle, trm_error *err) TRM_MUST_CHECK;
/* Adds those of from that have pairs in common with area. Errors: MEMORY. */
trm_status trm_done_add_touching(trm_done *done, const trm_done *from, trm_rectangle area,
                                 trm_error *err) TRM_MUST_CHECK;
/* Forgets all. */
void trm_done_clear(trm_done *done);
/* Frees. */
void trm_done_free(trm_done *done);

/* Takes a part of a tile that is left to do. diagonal: the part is a square on the diagonal. */
typedef void (*trm_left_fn)(void *context, trm_rectangle part, bool diagonal);

/* What is left of a tile: the tile itself where nothing of it is done; parts that cover the rest once; or
 * nothing. whole: as soon as anything is left, the tile is given as it is, once. diagonal: both of the
 * tile's ranges are one. A side of a tile is at most TRM_BLOCK_MAX. */
void trm_done_left(const trm_done *done, trm_rectangle tile, bool diagonal, bool whole, trm_left_fn left,
                   void *context);

#endif
