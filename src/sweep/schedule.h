/* Which tiles a rank computes at which step: the ring of block pairs, cut among the members of a team. Pure
 * arithmetic in closed form that every rank can do for every other, so that senders and receivers agree
 * without a message. */
#ifndef TRM_SWEEP_SCHEDULE_H
#define TRM_SWEEP_SCHEDULE_H

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

#endif
