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

/* ---- the order of tiles ---- */

/* Tiles of rows that are counted from the last one upwards. */
static int64_t tiles_in_rows(trm_region region, int64_t rows)
{
    return rows * (region.b_last - region.a_last) + rows * (rows + 1) / 2;
}

/* Where tile k of a triangle is in its order. */
typedef struct in_order {
    int64_t band, rows; /* the band's first row, counted from the last one upwards, and how many it has */
    int64_t of_diagonal;
    int64_t row, column; /* of the others: the row, counted alike, and the tile behind its diagonal */
} in_order;

static in_order find_in_triangle(trm_region region, int64_t k)
{
    const int64_t all = region.a_last - region.a_first, rest = region.b_last - region.a_last;
    in_order at = {0};
    while (at.band + TRM_BAND < all && k >= tiles_in_rows(region, at.band + TRM_BAND))
        at.band += TRM_BAND;
    at.rows = all - at.band < TRM_BAND ? all - at.band : TRM_BAND;
    k -= tiles_in_rows(region, at.band);
    at.of_diagonal = k < at.rows ? k : at.rows;
    at.row = at.band;
    k -= at.of_diagonal;
    if (at.of_diagonal < at.rows)
        return at;
    for (; at.row + 1 < at.band + at.rows && k >= rest + at.row; at.row++)
        k -= rest + at.row;
    at.column = k;
    return at;
}

int64_t trm_region_tiles(trm_region region)
{
    if (trm_region_empty(region))
        return 0;
    const int64_t rows = region.a_last - region.a_first;
    return region.triangle ? tiles_in_rows(region, rows) : rows * (region.b_last - region.b_first);
}

trm_place trm_region_tile(trm_region region, int64_t k)
{
    if (!region.triangle) {
        const int64_t columns = region.b_last - region.b_first;
        return (trm_place){region.a_first + k / columns, region.b_first + k % columns};
    }
    const in_order at = find_in_triangle(region, k);
    const int64_t last = region.a_last - 1;
    if (at.of_diagonal < at.rows)
        return (trm_place){last - at.band - at.of_diagonal, last - at.band - at.of_diagonal};
    return (trm_place){last - at.row, last - at.row + 1 + at.column};
}

bool trm_region_run(trm_region region, int64_t tiles, int n, trm_rectangle *part)
{
    const int64_t last = region.a_last;
    if (trm_region_empty(region) || n > TRM_BAND + 1)
        return false;
    if (!region.triangle) {
        const trm_place end = trm_region_tile(region, tiles);
        *part = n == 0 ? (trm_rectangle){region.a_first, end.a, region.b_first, region.b_last}
                       : (trm_rectangle){end.a, end.a + 1, region.b_first, end.b};
        return n < 2;
    }
    const in_order at = find_in_triangle(region, tiles);
    const int64_t row = last - 1 - at.row, square = row + 2 - n;
    if (n == 0) /* whole rows */
        *part = (trm_rectangle){row + 1, last, row + 1, region.b_last};
    else if (n == 1) /* a part of one, behind its tile on the diagonal */
        *part = (trm_rectangle){row, row + 1, row + 1, row + 1 + at.column};
    else /* that tile, and those of the band's further rows */
        *part = (trm_rectangle){square, square + 1, square, square + 1};
    return n < 2 + at.band + at.of_diagonal - at.row;
}

/* ---- the regions ---- */

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
