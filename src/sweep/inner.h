/* The inside of a sweep, shared by sweep.c (what all sweeps over the same rows need), ring.c (who visits whom and
 * what travels) and units.c (how work is cut, saved and stopped). Inner to sweep/. */
#ifndef TRM_SWEEP_INNER_H
#define TRM_SWEEP_INNER_H

#include "par/exchange.h"
#include "sweep/choose.h"
#include "sweep/schedule.h"
#include "sweep/side.h"
#include "sweep/sweep.h"

struct trm_sweep {
    const trm_run *run;
    const trm_rows *rows, *other; /* other: those that travel; the same where there is one set */
    const trm_schedule *schedule;
    trm_map map;
    float *shift;
    trm_basis *basis; /* NULL: no kernel needs one */
    int tile;
    int64_t largest; /* rows of the largest shard */
    trm_chooser chooser;
    trm_side own;
    trm_worker **workers;
    int64_t tally[TRM_TALLY_WORDS]; /* of an earlier run */

    int64_t panel, panels; /* of the job's, for progress; panels 0: not told */

    trm_sweep_save_fn save;
    void *save_context;
    trm_done skip;      /* before the present call; of all ranks */
    trm_done done;      /* in it, by this rank: regions that are finished */
    MPI_Request asking; /* the wishes of the unit before are on their way */
    int wish, wishes;
    int64_t unit_tiles;  /* at most, of a rank; 0: a step is one unit */
    int64_t unit_blocks; /* but at least, so that the threads of a rank end a unit at about the same time */
};

/* What a visiting shard brings, a message each. */
enum { PART_ROWS, PART_STATE, PARTS };

/* A visiting shard's buffers. */
typedef struct trm_visitor {
    trm_side side;
    trm_state state;
    void *part[PARTS];
    trm_transfer receive[PARTS], send_home;
} trm_visitor;

/* One call of trm_sweep_run. */
typedef struct trm_ring {
    trm_sweep *sweep;
    trm_asked own, other; /* other: of what travels; the same where there is one set */
    trm_relation relation;
    bool every_pair, may_repeat;
    int block;               /* rows of a block of tiles, in which work is dealt */
    int reach;               /* TRM_SAME_LABEL: teams so far apart may share a label */
    int64_t *slots;          /* of every team's travelling state, TRM_SHAPES each */
    trm_visitor visitors[2]; /* the present one and the next */
    void *snapshot, *homecoming;
    void *made; /* fields of the present visitor */
    trm_transfer send[PARTS], receive_home;
    trm_sweep_counts *counts;
    int64_t blocks_done, blocks_all; /* of this rank, in all steps */
    double begun;                    /* by the clock */
    int64_t blocks_reused;           /* of those done, the ones that an earlier run had finished */
    trm_done skip;                   /* what concerns the present region */
    int trials;                      /* of filters, that the present region has had */
    char phase[64];                  /* for progress */
} trm_ring;

/* ---- sweep.c ---- */

int64_t trm_tiles_of(int64_t rows, int tile);
/* Block, bounds and locks for a side of up to capacity rows; gives them up. */
trm_status trm_side_equip(const trm_sweep *sweep, trm_side *side, int64_t capacity,
                          trm_error *err) TRM_MUST_CHECK;
void trm_side_strip(const trm_sweep *sweep, trm_side *side, int64_t capacity);
/* Packs a side's rows for the chain that is chosen. Its windows, which depend on that, are to be opened then. All threads.
 * Errors: MEMORY; then the side is of no use any more. */
trm_status trm_side_pack(const trm_sweep *sweep, trm_side *side, trm_error *err) TRM_MUST_CHECK;
/* Sets all its windows; all threads. */
void trm_side_open_windows(const trm_sweep *sweep, trm_side *side);
/* Points a side at rows. */
void trm_side_take(trm_side *side, trm_rows_part part);
/* Rows of a block of tiles where rows have that many slots between them. */
int trm_block_of(const trm_run *run, int tile, int64_t shard, int64_t rows, int64_t slots);
/* Visiting shards held at once: the present one, and the next where there is one. */
int trm_visitors_of(const trm_schedule *schedule, int teams);

/* ---- ring.c ---- */

/* The region that a member of a team computes at a step; empty where nothing is to be done. */
trm_region trm_ring_region(const trm_ring *ring, int team, int member, int step);
/* Could any team have something to do at a step? */
bool trm_ring_is_busy(const trm_ring *ring, int step);
/* Blocks [from, to) of a region, in the order of trm_region_tile. */
void trm_ring_run_blocks(trm_ring *ring, trm_side *visitor, trm_region region, int64_t from, int64_t to,
                         trm_error *err);
/* Takes home what the present visitors found so far, and merges the team, so that each state holds it all. */
void trm_ring_bring_together(trm_ring *ring, int step, trm_error *err);
/* In step 0, whose other side is b: the members of a team go on with the windows that all of them together made narrow. What may
 * not be merged twice waits for the end. Collective on the team. */
void trm_ring_share_windows(trm_ring *ring, trm_side *b);
/* Adds what the threads counted to counts. */
void trm_sweep_collect_counts(trm_sweep *sweep, trm_sweep_counts *counts);
/* A few bytes could not be had while messages are under way: there is no way back. */
void trm_ring_must(const trm_ring *ring, trm_status status, trm_error *err);

/* ---- units.c ---- */

/* A step's blocks, unit by unit. Errors: STOPPED, what the save function returns. */
trm_status trm_ring_work(trm_ring *ring, int step, trm_side *b, trm_region region,
                         trm_error *err) TRM_MUST_CHECK;

#endif
