/* The rings; see schedule.h. */
#include "sweep/schedule.h"

#include <math.h>

int trm_ring_visitor(int teams, int team, int step)
{
    return (team + step) % teams;
}

bool trm_region_empty(trm_region region)
{
    return region.a_first >= region.a_last || region.b_first >= region.b_last;
}

/* Where member's part of a step begins, in tile rows. The steps lie on one line of work, `total` long, that the
 * members cut into equal parts; this step is [before, before + weight) of it. Inside the triangle, tile row i
 * has tiles - i tiles, so a cut at fraction f of its area is at 1 - sqrt(1 - f). */
static int64_t cut(int members, int member, int total, int before, int weight, bool triangle, int64_t tiles)
{
    double fraction = ((double)member * total / members - before) / weight;
    if (fraction <= 0.0)
        return 0;
    if (fraction >= 1.0)
        return tiles;
    if (triangle)
        fraction = 1.0 - sqrt(1.0 - fraction);
    return (int64_t)(fraction * (double)tiles);
}

/* ---- one set ---- */

static int half_steps(int teams)
{
    return teams / 2 + 1;
}

static bool is_split(int teams, int step)
{
    return step > 0 && 2 * step == teams;
}

/* The triangle of step 0 weighs 1, the others 2, the split step of an even number of teams 1 again: teams in
 * all, and 2 step - 1 before a step. */
static trm_region half_region(int teams, int members, int team, int member, int step, int64_t a_tiles,
                              int64_t b_tiles)
{
    trm_region region = {0, a_tiles, 0, b_tiles, step == 0};
    const bool split = is_split(teams, step);
    if (split) {
        if (team < trm_ring_visitor(teams, team, step))
            region.a_last = a_tiles / 2;
        else
            region.b_first = b_tiles / 2;
    }
    const int64_t tiles = region.a_last;
    const int before = step == 0 ? 0 : 2 * step - 1, weight = step == 0 || split ? 1 : 2;
    region.a_first = cut(members, member, teams, before, weight, step == 0, tiles);
    region.a_last = cut(members, member + 1, teams, before, weight, step == 0, tiles);
    return region;
}

const trm_schedule trm_half_ring = {"half ring", true, half_steps, half_region};

/* ---- two sets ---- */

static int full_steps(int teams)
{
    return teams;
}

static trm_region full_region(int teams, int members, int team, int member, int step, int64_t a_tiles,
                              int64_t b_tiles)
{
    (void)team;
    return (trm_region){cut(members, member, teams, step, 1, false, a_tiles),
                        cut(members, member + 1, teams, step, 1, false, a_tiles), 0, b_tiles, false};
}

const trm_schedule trm_full_ring = {"full ring", false, full_steps, full_region};
