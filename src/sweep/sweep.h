/* A sweep: one walk over all tiles on all ranks, each unordered pair of rows once, feeding a sink.
 *
 * Teams form a half ring. Block pairs (t, t+s mod T), s = 0..T/2, are each computed once, by team t; for even
 * T the last step is split between the two opposite teams. The visiting shard brings its rows and its state,
 * and its candidates go home after the step. Inside a team the steps are dealt to the members along one line
 * of work. */
#ifndef TRM_SWEEP_SWEEP_H
#define TRM_SWEEP_SWEEP_H

#include "rows/rows.h"
#include "rows/run.h"
#include "sweep/done.h"
#include "sweep/sink.h"

/* What one rank did. */
typedef struct trm_sweep_counts {
    int64_t elements;  /* pairs of rows in the tiles computed */
    int64_t survivors; /* of these, pairs that the filter could not rule out */
    int64_t float64;   /* canonical distances computed */
    double compute_s, wait_s;
} trm_sweep_counts;

/* What sweeps over the same rows share: the map, the packed shard, threads' scratch. */
typedef struct trm_sweep trm_sweep;

/* Collective; run and rows are borrowed until destroy. Errors: MEMORY. */
trm_status trm_sweep_create(const trm_run *run, const trm_rows *rows, trm_metric metric, trm_sweep **sweep,
                            trm_error *err) TRM_MUST_CHECK;
void trm_sweep_destroy(trm_sweep **sweep);

/* Feeds sink: own is the state of this team's shard; at the end every member holds the same, complete state.
 * counts are added to. Collective. Errors: MEMORY; STOPPED where the run's keeper wished so; what the save
 * function returns. */
trm_status trm_sweep_run(trm_sweep *sweep, const trm_sink *sink, trm_state *own, trm_sweep_counts *counts,
                         trm_error *err) TRM_MUST_CHECK;

/* Makes the index of a state from its bounds, all threads: trm_sweep_run does so by itself. Not collective.
 */
void trm_sweep_prepare(const trm_sweep *sweep, const trm_sink *sink, trm_state *state);

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

/* Bytes a rank needs: without state, and the visiting copies of slots of state. shard: the rows of the
 * largest one. */
int64_t trm_sweep_bytes(const trm_run *run, const trm_rows *rows, int64_t shard);
int64_t trm_sweep_state_bytes(const trm_rows *rows, int64_t slots, int sets, bool bounds);
/* And of scratch more, where the shard's anchors have that many thresholds. */
int64_t trm_sweep_block_bytes(const trm_run *run, const trm_rows *rows, int64_t slots);

#endif
