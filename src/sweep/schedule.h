/* Which tiles a rank computes at which step: the ring of block pairs, cut among the members of a team. Pure
 * arithmetic in closed form that every rank can do for every other, so that senders and receivers agree
 * without a message. */
#ifndef TRM_SWEEP_SCHEDULE_H
#define TRM_SWEEP_SCHEDULE_H

#include "sweep/done.h"

#include <stdbool.h>
#include <stdint.h>

/* Tile rows [a_first, a_last) of the team's own shard against tile rows [b_first, b_last) of the visitor's;
 * triangle: visitor and own shard are one, and only tiles with b >= a count. */
typedef struct trm_region {
    int64_t a_first, a_last, b_first, b_last;
    bool triangle;
} trm_region;

typedef struct trm_schedule {
    const char *name;
    bool one_set; /* of rows with itself; else one set with another */
    int (*steps)(int teams);
    /* The region of one member of a team of `members` at a step. a_tiles, b_tiles: tile rows of the team's and
     * of its visitor's shard. Over all members, teams and steps every pair of tiles of the whole is covered
     * once (unordered, where there is one set). */
    trm_region (*region)(int teams, int members, int team, int member, int step, int64_t a_tiles,
                         int64_t b_tiles);
} trm_schedule;

/* One set: teams / 2 + 1 steps, each unordered pair of teams once. */
extern const trm_schedule trm_half_ring;
/* Two sets: as many steps as teams, each team of one with each of the other. */
extern const trm_schedule trm_full_ring;

/* The visitor of team at a step. */
int trm_ring_visitor(int teams, int team, int step);

bool trm_region_empty(trm_region region);

/* The order in which a region's tiles are run. Rows are sorted by label, and a row's nearest neighbours are often of its
 * label, that is, near the diagonal. Windows are narrow from then on. So of a triangle, squares on the diagonal come first:
 * of one tile each, or of so many that a checkpoint has not too many to note. What is left goes along the rows, as all
 * of other regions does. */
enum { TRM_SQUARES = 128 };

/* A tile of a region. */
typedef struct trm_place {
    int64_t a, b;
} trm_place;

/* How many tiles a region has; of a triangle those with b >= a. */
int64_t trm_region_tiles(trm_region region);
/* Number k of these. */
trm_place trm_region_tile(trm_region region, int64_t k);
/* What the first `tiles` of them are: rectangle n, in tiles, which may be empty or overlap; false past the last. Of a triangle
 * unordered pairs of tiles, as in trm_done. */
bool trm_region_run(trm_region region, int64_t tiles, int n, trm_rectangle *part);

#endif
