/* Losses on triplets and their gradients, over the whole store; packed.h has those of packed triplets.
 *
 * Per triplet, with z = (d(a,p) - d(a,n)) + margin: hinge max(0, z) (Schroff et al. 2015), active where z >
 * 0; soft log(1 + e^z) (Hermans et al. 2017), always active. Choices (which triplets, which is active) and
 * denominators are constants of the gradient. The value and the gradient are those of the single-process
 * problem, the same bits on any number of ranks and threads.
 *
 * Needs mine.h; no mpi.h. */
#ifndef TRIMINE_LOSS_H
#define TRIMINE_LOSS_H

#include "trimine/abi.h"
#include "trimine/batches.h"
#include "trimine/metric.h"
#include "trimine/mine.h"
#include "trimine/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What "value" is, and what the gradient is divided by. */
typedef enum trm_reduction {
    TRM_REDUCTION_MEAN_ALL, /* sum / T; the default */
    TRM_REDUCTION_SUM,
    TRM_REDUCTION_MEAN_NONZERO, /* sum / active triplets */
    TRM_REDUCTION_MEAN_VALID,   /* sum / valid anchors */
    TRM_REDUCTION_MEAN_ROWS     /* sum / rows of the store; of two sets: sum / queries */
} trm_reduction;

/* Equal on all ranks. */
typedef struct trm_loss_options {
    size_t size; /* set by trm_loss_options_init */
    trm_metric metric;
    double margin; /* finite, >= 0 */
    bool soft;     /* softplus in place of the hinge */
    bool swap;     /* d(a,n) becomes min(d(a,n), d(p,n)); ties keep the anchor (Balntas et al. 2016) */
    trm_reduction reduction;
    bool whole_at_zero; /* the gradient of a triplet whose z is exactly 0 is that of an active one, as
                         * tf.maximum(z, 0) passes it on; it counts as inactive all the same. Not with
                         * batch-all or TRM_SOURCE_WITHIN */
} trm_loss_options;

/* Sums and means, equal on all ranks. A mean over nothing is 0. */
typedef struct trm_loss_summary {
    double sum; /* hinge: exact sum of d(a,p), -d(a,n), margin over the active; soft: of the terms */
    int64_t count, active; /* triplets */
    int64_t valid, rows;   /* the denominators of mean_valid and mean_rows; of two sets both count queries */
    int64_t semihard, fallback; /* packed triplets only: of count, those chosen so; 0 where nothing is chosen
                                 * by these rules */
    double mean_all, mean_nonzero, mean_valid, mean_rows;
    double value; /* the one that reduction names */
    double gradient_norm,
        gradient_max_abs;      /* over all rows, of both sets where there are two, of what is given
                                             * back; 0 without a gradient */
    double loss_s, gradient_s; /* largest of any rank */
    int64_t pairs_multiplied;  /* pairs of rows, in float64; batch-all only */
    int64_t skipped;           /* packed triplets only: anchors without a triplet */
} trm_loss_summary;

/* One rank's part of the work. The parts' triplets add up to count, their loss_sum to sum (up to the rounding
 * of each), the squares of their gradient_norm to that of the whole. Which part a rank gets depends on the
 * number of ranks; only the sums do not.
 *
 * Of lists of triplets (mined, given, batch-hard, packed) a part is that of the triplets that came to this
 * rank: of given and packed ones its own; of mined ones those of the anchors it answers for, which need not
 * be its own rows. Of TRM_SOURCE_BATCH_ALL and TRM_SOURCE_WITHIN it is this rank's share of the terms: d(a,p)
 * is added where the anchor's thresholds are, -d(a,n) and the margin where the tile with that distance was
 * computed. Such a loss_sum is no loss of anything, and may be negative; the sum over the ranks is the loss.
 *
 * compute_s: its work for the triplets, the loss and the gradient; wait_s: its waiting for other ranks
 * meanwhile.
 */
typedef struct trm_loss_part {
    int64_t rows;     /* that this rank gave, with its queries; packed: anchors */
    int64_t triplets; /* counted on this rank */
    double loss_sum;
    double gradient_norm; /* of the gradient of this rank's rows, of both sets */
    double compute_s, wait_s;
} trm_loss_part;

/* sql2, margin 1, hinge, no swap, mean_all, no gradient at 0. Not collective. */
TRM_API void trm_loss_options_init_sized(trm_loss_options *options, size_t size);
static inline void trm_loss_options_init(trm_loss_options *options)
{
    trm_loss_options_init_sized(options, sizeof *options);
}

/* The denominator of a reduction; 0 where it divides by nothing. Not collective. */
TRM_API int64_t trm_loss_denominator(const trm_loss_summary *summary, trm_reduction reduction);

/* Option names ("mean_all", ...): borrowed for ever, NULL for a value that is none; 0 found, -1 unknown. Not
 * collective. */
TRM_API const char *trm_reduction_name(trm_reduction reduction);
TRM_API int trm_reduction_from_name(const char *name, trm_reduction *reduction);

/* ---- losses over a store ---- */

/* Where the triplets come from. */
typedef enum trm_source {
    TRM_SOURCE_MINED,      /* trm_mine with the given options */
    TRM_SOURCE_GIVEN,      /* the caller's list */
    TRM_SOURCE_BATCH_HARD, /* hardest positive, hardest negative of each valid anchor */
    TRM_SOURCE_BATCH_ALL,  /* every (a,p,n); never a list */
    TRM_SOURCE_WITHIN /* every (a,p,n) with 0 < d(a,n) - d(a,p) <= mine.margin; never a list (the set that
                       * PyTorch Metric Learning calls semihard) */
} trm_source;

/* A rank's part of a list of triplets, in row ids, the anchors' those of queries where there are some, a positive of -1 for
 * an anchor without one: d(a,p) is 0 then; rank r's follow
 * rank r-1's. Borrowed. */
typedef struct trm_given_triplets {
    int64_t count;
    const int64_t *anchor, *positive, *negative;
} trm_given_triplets;

/* The rows that each rank has, as it gave them to trm_rows_create. All borrowed. A rank without rows may have
 * NULL everywhere. */
typedef struct trm_batch {
    int64_t count; /* of this rank; may be 0 */
    int dim;
    const float *embeddings; /* count x dim, float32, row-major; NULL is fine where no row is looked at again:
                              * no gradient, no swap, no given triplets, no batches */
    const int64_t *labels;   /* count */
    const double *norms; /* count: of the rows before they were normalised (trm_normalize): the gradient is
                          * then with respect to those; NULL: with respect to embeddings. By all ranks with
                          * rows or by none; finite, above 0 */
} trm_batch;

typedef struct trm_evaluate_options {
    size_t size; /* set by trm_evaluate_options_init, as those of mine and loss are */
    trm_source source;
    trm_mine_options mine; /* policies of TRM_SOURCE_MINED; metric: loss's is taken; margin: of the window */
    trm_loss_options loss;
    bool lone; /* batch-hard: a row without a positive adds [margin - min d(a,n)]+ (TensorFlow Addons) */
    trm_given_triplets given;
    trm_batches *batches; /* with TRM_SOURCE_MINED: mined inside each of these, not in the whole store; the
                           * denominators of mean_valid and mean_rows then count an anchor, a row, as often as
                           * it is in a batch. By all ranks or by none; NULL: the whole store. Borrowed */
    /* Two sets: the rows of mine.queries, which anchors are, as rows are of batch; rows and batch are then the store's, whose
     * rows positives and negatives are. Labels of given triplets are compared unless the store was made by
     * trm_rows_create_by_id: who gave them knows who is positive; a query is then valid by mine.pairs, without them if it is
     * the anchor of one. Norms are each set's own. On all ranks, or NULL on all: one set. Not with batches,
     * TRM_SOURCE_BATCH_ALL and TRM_SOURCE_WITHIN. Borrowed; to plan, count is enough */
    const trm_batch *queries;
    float *
        queries_gradient; /* two sets, where a gradient is asked for: count x dim float32 of this rank's queries,
                              * owned by the caller; of trm_evaluate's gradient and of this, one that is not NULL on any rank
                              * asks all ranks for both */
} trm_evaluate_options;

/* Defaults: mined, and what the two parts default to. Not collective. */
TRM_API void trm_evaluate_options_init_sized(trm_evaluate_options *options, size_t size, size_t mine_size,
                                             size_t loss_size);
static inline void trm_evaluate_options_init(trm_evaluate_options *options)
{
    trm_evaluate_options_init_sized(options, sizeof *options, sizeof options->mine, sizeof options->loss);
}

/* The triplets that emit gets on this rank, at most, by the layout of rows; of TRM_SOURCE_GIVEN those that are
 * given here, where there is no list 0. Collective on the run. */
TRM_API int64_t trm_evaluate_triplets(const trm_run *run, const trm_rows *rows,
                                      const trm_evaluate_options *options);
/* Bytes of a rank's limit that an evaluation needs beside mining: for trm_mine_options.reserve before
 * trm_evaluate_plan. Options of a wrong size count as the defaults: trm_evaluate_plan refuses them. Collective. */
TRM_API int64_t trm_evaluate_bytes(const trm_run *run, const trm_rows *rows, const trm_batch *batch,
                                   const trm_evaluate_options *options, bool gradient);
/* As trm_mine_plan, of any source: fills in panels and memory_bytes of mined. Collective. gradient: true on
 * any rank is true on all. Errors: as trm_mine_plan; MEMORY also where a gradient of the whole store would
 * need panels. */
TRM_API trm_status trm_evaluate_plan(trm_run *run, const trm_rows *rows, const trm_evaluate_options *options,
                                     bool gradient, trm_mine_summary *mined, trm_error *err) TRM_MUST_CHECK;

/* Evaluates a loss over rows (made from batch, on the same run). Collective; options equal on all ranks,
 * except given and mine.reserve; so value is one number. emit: also gets the triplets of TRM_SOURCE_MINED and
 * TRM_SOURCE_BATCH_HARD, see trm_mine, and those of TRM_SOURCE_GIVEN on the rank that gave them, in their order, with kind
 * 0 and rank 1, before it is known that all are right; may be NULL. gradient: count x dim float32 of this rank's rows, owned
 * by the caller; NULL on all ranks: none is wanted. One that is not NULL on any rank asks all ranks for it; a
 * rank without rows may still have NULL, one with rows not. mined: as trm_mine fills it in (for other
 * sources: anchors and classes only, of two sets the store's classes). part: may be NULL, on some ranks or all.
 *
 * Errors: USAGE (a value that is none, options that differ, count or dim that are not those of rows, an array
 * that is NULL on a rank with rows and needed, or given on another), DATA (cosine and a row of norm 0, a norm
 * that is no number above 0; a given triplet out of range, with a = p, of two sets p = n, or with labels that
 * contradict; the first one is named; a batch without rows, or with a row id that is out of range or order, twice in it, or of a row
 * that takes no part: it is named; a loss beyond float64; a gradient beyond float32, whose first row is named),
 * MEMORY, and whatever emit returns. That rows are finite is checked by trm_rows_create. */
TRM_API trm_status trm_evaluate(trm_run *run, const trm_rows *rows, const trm_batch *batch,
                                const trm_evaluate_options *options, trm_triplet_fn emit, void *context,
                                float *gradient, trm_mine_summary *mined, trm_loss_summary *summary,
                                trm_loss_part *part, trm_error *err) TRM_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
