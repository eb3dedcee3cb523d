/* The half ring; see half_ring.h. */
#include "sweep/half_ring.h"

#include <math.h>

int trm_ring_steps(int teams)
{
    return teams / 2 + 1;
}

int trm_ring_visitor(int teams, int team, int step)
{
    return (team + step) % teams;
}

static bool is_split(int teams, int step)
{
    return step > 0 && 2 * step == teams;
}

/* A step's weight: the triangle and the split step are half as long as the others. */
static int weight(int teams, int step)
{
    return step == 0 || is_split(teams, step) ? 1 : 2;
}

/* Where member's part of a step begins, in tile rows. The steps lie on one line of work that the members cut
 * into equal parts; inside the triangle, tile row i has tiles - i tiles, so a cut at fraction f of its area
 * is at 1 - sqrt(1 - f). */
static int64_t cut(int teams, int members, int member, int step, int64_t tiles)
{
    int total = 0, before = 0;
    for (int s = 0; s < trm_ring_steps(teams); s++) {
        before += s < step ? weight(teams, s) : 0;
        total += weight(teams, s);
    }
    double fraction = ((double)member * total / members - before) / weight(teams, step);
    if (fraction <= 0.0)
        return 0;
    if (fraction >= 1.0)
        return tiles;
    if (step == 0)
        fraction = 1.0 - sqrt(1.0 - fraction);
    return (int64_t)(fraction * (double)tiles);
}

trm_region trm_ring_region(int teams, int members, int team, int member, int step, int64_t a_tiles,
                           int64_t b_tiles)
{
    trm_region region = {0, a_tiles, 0, b_tiles, step == 0};
    if (is_split(teams, step)) {
        if (team < trm_ring_visitor(teams, team, step))
            region.a_last = a_tiles / 2;
        else
            region.b_first = b_tiles / 2;
    }
    const int64_t tiles = region.a_last;
    region.a_first = cut(teams, members, member, step, tiles);
    region.a_last = cut(teams, members, member + 1, step, tiles);
    return region;
}

bool trm_region_empty(trm_region region)
{
    return region.a_first >= region.a_last || region.b_first >= region.b_last;
}
