/* Which tiles a rank computes: the half ring of block pairs, cut among the members of a team. Pure arithmetic
 * that every rank can do for every other, so that senders and receivers agree without a message. */
#ifndef TRM_SWEEP_HALF_RING_H
#define TRM_SWEEP_HALF_RING_H

#include <stdbool.h>
#include <stdint.h>

/* Tile rows [a_first, a_last) of the team's own shard against tile rows [b_first, b_last) of the visitor's;
 * triangle: visitor and own shard are one, and only tiles with b >= a count. */
typedef struct trm_region {
    int64_t a_first, a_last, b_first, b_last;
    bool triangle;
} trm_region;

/* The number of steps: 0 .. teams / 2. */
int trm_ring_steps(int teams);

/* The visitor of team at a step. */
int trm_ring_visitor(int teams, int team, int step);

/* The region of one member of a team of `members` at a step. a_tiles, b_tiles: tile rows of the team's and of
 * its visitor's shard. Over all members, teams and steps every unordered pair of tiles of the whole is
 * covered once. */
trm_region trm_ring_region(int teams, int members, int team, int member, int step, int64_t a_tiles,
                           int64_t b_tiles);

bool trm_region_empty(trm_region region);

#endif
