/* One of the two blocks of rows of a step, and the tiles between two of them. Inner to sweep/. */
#ifndef TRM_SWEEP_SIDE_H
#define TRM_SWEEP_SIDE_H

#include "kernel/kernel.h"
#include "sweep/done.h"
#include "sweep/query.h"
#include "sweep/schedule.h"
#include "sweep/sweep.h"

#include <omp.h>

/* A row that keeps more of the nearest than that has survivors decided without a look at how near the others are. */
enum { TRM_KEEPS_MAX = 15 };

/* What a row has seen of which it keeps a few of the nearest (held.c). */
typedef struct trm_nearest {
    float from;              /* of those beyond it */
    float hi[TRM_KEEPS_MAX]; /* ascending: they are no farther than that */
} trm_nearest;

/* A block of rows with its state. The arrays belong to the rows or to the visitor's buffers. */
typedef struct trm_side {
    const trm_query *query; /* what its anchors ask; NULL: it has none, and no state */
    int64_t first, count;   /* arranged places */
    const float *x;
    const int64_t *label, *id, *class_first;
    const double *norm2;
    trm_state *state;
    trm_block *block;   /* packed for the kernel */
    trm_bounds *bounds; /* windows for the kernel; as stale as the last update, which is only wider */
    omp_lock_t *locks;  /* one a tile row, around the state and bounds of its rows, and what they have seen */
    trm_nearest *nearest; /* of each row */
} trm_side;

/* So many strips' worth of a thread's survivors may wait, of so many strips at most. */
enum { TRM_HELD_STRIPS = 2, TRM_HELD_PARTS = 1024 };

/* Survivors that wait: those before end, behind the part before, of two tile rows. */
typedef struct trm_held_part {
    int64_t end, tile_a, tile_b;
} trm_held_part;

/* A thread's scratch. */
typedef struct trm_worker {
    trm_workspace *work;
    trm_bounds *a_bounds, *b_bounds; /* the present tile's windows, copied under the locks */
    double *dense;                   /* block x block distances, and a little more */
    double *lines;                   /* a few columns of it */
    int block;                       /* that there is room for */
    double *lo, *hi;                 /* tile: windows being set */
    uint8_t *changed;                /* tile: rows whose window moved */
    double *decided;                 /* a strip: distances of its survivors */
    uint8_t *wanted;                 /* a strip: which side of a survivor wants it */
    trm_survivor *held;              /* survivors that wait, held_room of them or fewer */
    trm_held_part *held_part;        /* TRM_HELD_PARTS or fewer */
    int64_t held_count, held_parts, held_room;
    trm_fit *fit;     /* tile: columns that fit its rows */
    int dense_left;   /* tiles to go on without the filter, because it ruled out too little */
    int dense_streak; /* how many that were last time: doubles while the filter goes on being of no use */
    int64_t tally[TRM_TALLY_WORDS]; /* of queries */
    trm_sweep_counts counts;
} trm_worker;

/* Work is dealt in blocks of span x span tiles. Where an anchor's tables are larger than a cache, a visit to
 * them should be for many distances; the filter and the locks work tile by tile. */
typedef struct trm_tiles {
    trm_relation relation;
    bool every_pair; /* all in float64, no filter */
    bool may_repeat; /* a pair may be offered twice */
    bool one_set;    /* both sides are of the same rows */
    trm_metric metric;
    int dim, tile, block; /* block: rows, span * tile */
    trm_side *a, *b;
    trm_region region;
    const trm_done *done; /* pairs that are not to be counted again */
} trm_tiles;

/* Is any of the rows [first, last) an anchor? */
bool trm_side_has_slots(const trm_side *side, int64_t first, int64_t last);

/* Sets the windows of rows [first, first + count) of a side from its state. */
void trm_side_set_windows(trm_side *side, int64_t first, int64_t count, double *lo, double *hi);

/* The same of the rows from first on, at most count, that worker->changed marks, which it clears. */
void trm_side_move_windows(trm_side *side, int64_t first, int64_t count, trm_worker *worker);

/* The distances that a row still cares about; none where it is no anchor. */
void trm_side_window(const trm_side *side, int64_t row, double *lo, double *hi);
/* Could a distance in [lo, hi] change what a row has? */
bool trm_side_wants(const trm_side *side, int64_t row, double lo, double hi);
/* Places [*from, *to) of sorted labels, within [first, last), that are the one sought. */
void trm_same_label_range(const int64_t *label, int64_t first, int64_t last, int64_t sought, int64_t *from,
                          int64_t *to);

/* What fits a row of the columns [first, last) where those of its label are at [from, to). */
trm_fit trm_fit_of_row(trm_relation relation, int64_t first, int64_t last, int64_t from, int64_t to);

/* Computes what is left to do of block (i, j) of the two sides and feeds the queries. Any thread, with its own
 * worker. */
void trm_block_run(const trm_tiles *tiles, int64_t i, int64_t j, trm_worker *worker);

trm_status trm_worker_create(int tile, trm_worker **worker, trm_error *err) TRM_MUST_CHECK;
void trm_worker_destroy(trm_worker **worker);
/* Makes room for blocks of that many rows. Errors: MEMORY. */
trm_status trm_worker_widen(trm_worker *worker, int block, trm_error *err) TRM_MUST_CHECK;
int64_t trm_worker_bytes(int tile);
/* What more blocks need. */
int64_t trm_worker_block_bytes(int block);

#endif
