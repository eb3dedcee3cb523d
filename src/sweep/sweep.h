/* A sweep: one walk over all tiles on all ranks, each pair of rows once, feeding queries.
 *
 * One set of rows with itself: teams form a half ring, so that each unordered pair of rows is multiplied once
 * and serves the anchors on both sides. One set with another: a full ring; either side's rows may be anchors.
 * The visiting shard brings its rows and its state, one message each, and what it found goes home after the
 * step. Inside a team all members take part in the first step, in which they share what they find, and the others are dealt
 * to them along one line of work. */
#ifndef TRM_SWEEP_SWEEP_H
#define TRM_SWEEP_SWEEP_H

#include "rows/rows.h"
#include "rows/run.h"
#include "sweep/done.h"
#include "sweep/query.h"

/* How often the members of a team share what they found before the end of a sweep, at most. */
enum { TRM_SHARINGS = 4 };

/* What one rank did. */
typedef struct trm_sweep_counts {
    int64_t elements;                    /* pairs of rows in the tiles computed */
    int64_t survivors;                   /* of these, pairs that the filter could not rule out */
    int64_t float64;                     /* canonical distances computed */
    int64_t stage_survivors[TRM_STAGES]; /* pairs left by each stage of the kernel; the last is survivors */
    int64_t by_chain[TRM_CHAINS];        /* the elements, by the chain of filters that they went through */
    double compute_s, wait_s;
} trm_sweep_counts;

/* What sweeps over the same rows share: the map, the packed shard, threads' scratch. */
typedef struct trm_sweep trm_sweep;

/* other: the rows that travel; NULL: the same. Collective; run and rows are borrowed until destroy. Errors: MEMORY;
 * INTERNAL (sets of different dim, or laid out for different teams). */
trm_status trm_sweep_create(const trm_run *run, const trm_rows *rows, const trm_rows *other,
                            trm_metric metric, trm_sweep **sweep, trm_error *err) TRM_MUST_CHECK;
void trm_sweep_destroy(trm_sweep **sweep);

/* What the rows of one set ask. */
typedef struct trm_asked {
    const trm_query *query; /* NULL: nothing, they are no anchors */
    trm_state *state;       /* of this team's shard */
} trm_asked;

/* Feeds the queries; at the end every member of a team holds the same, complete state. One set: other is {NULL,
 * NULL}. Two: the queries of both, where there are two, have one relation and agree on every_pair. phase: what
 * progress calls it. counts are added to. Collective. Errors: MEMORY; STOPPED where the run's checkpoint wished so;
 * what the save function returns. */
trm_status trm_sweep_run(trm_sweep *sweep, const char *phase, trm_asked own, trm_asked other,
                         trm_sweep_counts *counts, trm_error *err) TRM_MUST_CHECK;

/* Makes the MADE fields of a state, all threads: trm_sweep_run does so by itself. settle: turns what is complete
 * into answers, all threads. Not collective. */
void trm_sweep_prepare(const trm_sweep *sweep, const trm_query *query, trm_state *state);
void trm_sweep_settle(const trm_sweep *sweep, const trm_query *query, trm_state *state);

/* What the members of a team found for the same rows becomes one: each then has all of it. Collective on the team. */
void trm_sweep_merge_team(const trm_rows *rows, trm_state *state);

/* This rank's tally of all sweeps so far, TRM_TALLY_WORDS whole numbers; adds that of an earlier run. Not
 * collective; between sweeps or while saving. */
void trm_sweep_tally(const trm_sweep *sweep, int64_t *words);
void trm_sweep_add_tally(trm_sweep *sweep, const int64_t *words);

/* The chains that there are to choose from, TRM_CHAINS of them or fewer, and what went through each on all ranks.
 * Collective. */
void trm_sweep_chains(const trm_sweep *sweep, const trm_sweep_counts *counts, trm_chain_use *chains);

/* Which of the job's panels the next sweeps are for, as progress says. Not collective. */
void trm_sweep_is_for(trm_sweep *sweep, int64_t panel, int64_t panels);

/* Called by trm_sweep_run between two units of work, when the ranks have agreed to save: done is what this
 * rank has done, on rank 0 with what was skipped; counts are up to date; own holds all candidates found so
 * far. stop: trm_sweep_run will return. Collective. */
typedef trm_status (*trm_sweep_save_fn)(void *context, const trm_done *done, bool stop, trm_error *err);
void trm_sweep_on_save(trm_sweep *sweep, trm_sweep_save_fn save, void *context);

/* What the next trm_sweep_run leaves out, equal on all ranks; copied. Its state then has what was found
 * there, on member 0 alone in the case of counts. Errors: MEMORY. */
trm_status trm_sweep_skip(trm_sweep *sweep, const trm_done *done, trm_error *err) TRM_MUST_CHECK;

/* Bytes a rank needs without state, and other NULL for a set with itself, else for one with another; the rows of both are
 * in it. shard, other_shard: the rows of the largest one of each. */
int64_t trm_sweep_bytes(const trm_run *run, const trm_rows *rows, int64_t shard, const trm_rows *other,
                        int64_t other_shard);

/* A state with so many slots of each shape; type NULL: none. */
typedef struct trm_sweep_size {
    const trm_query_type *type;
    const int64_t *slots;
} trm_sweep_size;

/* Bytes of the states, and of the visiting copies of what travels, which is other's, or where that is NULL own's. */
int64_t trm_sweep_state_bytes(const trm_rows *rows, trm_sweep_size own, const trm_sweep_size *other);
/* And of scratch more, where the shard's anchors have that many thresholds. */
int64_t trm_sweep_block_bytes(const trm_run *run, const trm_rows *rows, int64_t slots);

#endif
