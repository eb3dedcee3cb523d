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

static int64_t triangle_of(int64_t side)
{
    return side * (side + 1) / 2;
}

/* The first k tiles of a triangle: whole squares on the diagonal, [whole, whole_end) of them, with the tiles of the rows
 * before row that are within or beyond a square, and the tiles of row that are before column. */
typedef struct run_part {
    int64_t whole, whole_end;
    int64_t begin; /* the first row before row */
    int64_t row, from, column;
    int64_t end; /* of the rows' columns */
} run_part;

static int64_t side_of_squares(trm_region region)
{
    return (region.a_last - region.a_first + TRM_SQUARES - 1) / TRM_SQUARES;
}

/* Where square q ends, in tile rows; it is shorter where it is the last. */
static int64_t end_of_square(trm_region region, int64_t q)
{
    const int64_t end = region.a_first + (q + 1) * side_of_squares(region);
    return end < region.a_last ? end : region.a_last;
}

static run_part part_of_triangle(trm_region region, int64_t k)
{
    const int64_t side = side_of_squares(region),
                  squares = (region.a_last - region.a_first + side - 1) / side;
    const int64_t before_last = (squares - 1) * side, last = region.a_last - region.a_first - before_last;
    const int64_t in_squares = (squares - 1) * triangle_of(side) + triangle_of(last);
    if (k < in_squares) {
        const int64_t q = k / triangle_of(side), begin = region.a_first + q * side,
                      end = end_of_square(region, q);
        run_part part = {.whole_end = q, .begin = begin, .row = begin, .end = end};
        for (k -= q * triangle_of(side); k >= end - part.row; part.row++)
            k -= end - part.row;
        part.from = part.row;
        part.column = part.row + k;
        return part;
    }
    k -= in_squares;
    for (int64_t q = 0; q < squares; q++) {
        const int64_t begin = region.a_first + q * side, end = end_of_square(region, q),
                      width = region.b_last - end;
        if (k < (end - begin) * width)
            return (run_part){q,   squares,         region.a_first, begin + k / width,
                              end, end + k % width, region.b_last};
        k -= (end - begin) * width;
    }
    return (run_part){squares,       squares,       region.a_first, region.a_last,
                      region.b_last, region.b_last, region.b_last};
}

int64_t trm_region_tiles(trm_region region)
{
    if (trm_region_empty(region))
        return 0;
    const int64_t rows = region.a_last - region.a_first;
    return region.triangle ? rows * (region.b_last - region.a_last) + triangle_of(rows)
                           : rows * (region.b_last - region.b_first);
}

/* The first k tiles of a region. */
static run_part part_of(trm_region region, int64_t k)
{
    const int64_t columns = region.b_last - region.b_first;
    if (region.triangle)
        return part_of_triangle(region, k);
    return (run_part){.begin = region.a_first,
                      .row = region.a_first + k / columns,
                      .from = region.b_first,
                      .column = region.b_first + k % columns,
                      .end = region.b_last};
}

trm_place trm_region_tile(trm_region region, int64_t k)
{
    const run_part part = part_of(region, k);
    return (trm_place){part.row, part.column};
}

bool trm_region_run(trm_region region, int64_t tiles, int n, trm_rectangle *part)
{
    if (trm_region_empty(region))
        return false;
    const run_part done = part_of(region, tiles);
    if (n == 0) {
        *part =
            (trm_rectangle){done.begin, done.row, region.triangle ? done.begin : region.b_first, done.end};
    } else if (n == 1) {
        *part = (trm_rectangle){done.row, done.row + 1, done.from, done.column};
    } else {
        const int64_t q = done.whole + n - 2, begin = region.a_first + q * side_of_squares(region),
                      end = end_of_square(region, q);
        *part = (trm_rectangle){begin, end, begin, end};
    }
    return n < 2 + done.whole_end - done.whole;
}

/* ---- the regions ---- */

/* Where member's part of a step begins, in tile rows. All members take an equal part of step 0, for which nobody needs to
 * visit. The others lie on one line of work, `total` long, that the members cut into equal parts, so that few shards visit
 * each; this step is [before, before + weight) of it. Inside the triangle, tile row i has tiles - i tiles, so a cut at
 * fraction f of its area is at 1 - sqrt(1 - f). */
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

/* A step on the line weighs 2, the split one of an even number of teams 1: teams - 1 in all, and 2 (step - 1) before a step. */
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
    const int total = step == 0 ? 1 : teams - 1, before = step == 0 ? 0 : 2 * (step - 1),
              weight = step == 0 || split ? 1 : 2;
    region.a_first = cut(members, member, total, before, weight, step == 0, tiles);
    region.a_last = cut(members, member + 1, total, before, weight, step == 0, tiles);
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
    const int total = step == 0 ? 1 : teams - 1, before = step == 0 ? 0 : step - 1;
    (void)team;
    return (trm_region){cut(members, member, total, before, 1, false, a_tiles),
                        cut(members, member + 1, total, before, 1, false, a_tiles), 0, b_tiles, false};
}

const trm_schedule trm_full_ring = {"full ring", false, full_steps, full_region};
